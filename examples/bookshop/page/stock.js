// The stock as it changes. A lost connection is taken up again; the first message after
// that has the stock of all books, so nothing is missed.

const LONGEST_WAIT = 15_000;

export function watchStock(onStocks, onState) {
  const address = new URL("/api/stock", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  let wait = 500;

  function connect() {
    const socket = new WebSocket(address);
    socket.addEventListener("open", () => {
      wait = 500;
      onState("live");
    });
    socket.addEventListener("message", ({ data }) => onStocks(JSON.parse(data).stocks));
    socket.addEventListener("close", () => {
      onState("lost");
      setTimeout(connect, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT);
    });
  }

  connect();
}
