"""FastStream with Kafka's two clients, which are extensions in C."""

import sys

import pytest

from tests.adapters.conformance import test_faststream

if sys.version_info >= (3, 15):
    pytest.importorskip("aiokafka", reason="aiokafka has no wheel for this Python yet")
    pytest.importorskip("confluent_kafka", reason="confluent-kafka has no wheel for it yet")

from faststream.confluent import KafkaBroker as ConfluentBroker
from faststream.confluent import TestKafkaBroker as ConfluentTestBroker
from faststream.kafka import KafkaBroker, TestKafkaBroker


class TestKafka(test_faststream.TestNats):
    broker, test_broker = KafkaBroker, TestKafkaBroker


class TestConfluent(test_faststream.TestNats):
    broker, test_broker = ConfluentBroker, ConfluentTestBroker
