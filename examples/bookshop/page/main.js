// The page: what happens when somebody types, clicks, or buys elsewhere.

import { Refusal, placeOrder, searchBooks } from "./api.js";
import { Basket } from "./basket.js";
import { money } from "./money.js";
import { clearShelf, showBook, showStock } from "./shelf.js";
import { watchStock } from "./stock.js";

const find = (id) => document.getElementById(id);
const stocks = new Map();
const stockOf = (id) => stocks.get(id) ?? 0;
const refresh = (id) => showStock(id, stockOf(id), basket.quantity(id));
const basket = new Basket(stockOf, (id) => {
  refresh(id);
  find("receipt").hidden = true;
});

// --- the shelves

let searching = new AbortController();
let shown = 0;

async function search({ more = false } = {}) {
  searching.abort();
  searching = new AbortController();
  const currency = find("currency").value;
  const question = { words: find("words").value, currency, offset: more ? shown : 0 };
  try {
    const answer = await searchBooks(question, searching.signal);
    if (!more) clearShelf();
    for (const book of answer.books) {
      stocks.set(book.id, book.stock);
      showBook(book, currency, (chosen) => basket.change(chosen, +1));
      refresh(book.id);
    }
    shown = question.offset + answer.books.length;
    find("more").hidden = shown >= answer.total;
    find("found").textContent = describe(answer, question);
  } catch (error) {
    if (error.name !== "AbortError") find("found").textContent = message(error);
  }
}

function describe({ total, notice, rates_as_of }, { words }) {
  const sentences = [];
  if (total === 0) sentences.push(`No book matches “${words.trim()}”.`);
  else if (words.trim()) sentences.push(total === 1 ? "1 book found." : `${total} books found.`);
  if (notice) sentences.push(notice);
  if (rates_as_of) sentences.push(`Exchange rates of ${rates_as_of}; you pay in euros.`);
  return sentences.join(" ");
}

let typing;
find("words").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, 150);
});
find("currency").addEventListener("change", () => search());
find("more").addEventListener("click", () => search({ more: true }));

// --- the order

find("order").addEventListener("submit", async (event) => {
  event.preventDefault();
  say(null);
  find("place").disabled = true;
  try {
    const order = await placeOrder(find("customer").value, basket.toOrder());
    basket.clear();
    showReceipt(order);
  } catch (error) {
    say(message(error));
  } finally {
    find("place").disabled = false;
  }
});

function showReceipt(order) {
  const lines = order.lines.map(({ quantity, title }) => `${quantity} × ${title}`);
  const entries = [
    ["p", `Thank you, ${order.customer}!`],
    ...lines.map((line) => ["p", line]),
    ["p", `${money(order.total)} in all`],
    ["code", order.reference],
  ];
  find("receipt").replaceChildren(
    ...entries.map(([name, text]) => Object.assign(document.createElement(name), { textContent: text })),
  );
  find("receipt").hidden = false;
}

function say(text) {
  find("message").textContent = text ?? "";
  find("message").hidden = !text;
  if (text) find("receipt").hidden = true;
}

function message(error) {
  if (error instanceof Refusal) return error.message;
  console.error(error);
  return "Something went wrong on this page. Reloading it may help.";
}

// On a small screen the basket is below the books; the way there is shown unless it is in view.
new IntersectionObserver(([basketEntry]) => {
  find("to-basket").classList.toggle("there", basketEntry.isIntersecting);
}).observe(find("basket"));

// --- the stock, as it changes

const STATES = { live: "Stock is live", lost: "Reconnecting" };

watchStock(
  (changes) => {
    for (const [id, stock] of Object.entries(changes)) {
      stocks.set(Number(id), stock);
      refresh(Number(id));
    }
    basket.show();
  },
  (state) => {
    find("live").dataset.state = state;
    find("live").textContent = STATES[state];
  },
);

search();
