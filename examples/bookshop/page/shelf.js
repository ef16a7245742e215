// The books on the page, one card each.

import { money } from "./money.js";

const template = document.querySelector("#book");
const list = document.querySelector("#books");
const cards = new Map();

export function clearShelf() {
  cards.clear();
  list.replaceChildren();
}

export function showBook(book, currency, onAdd) {
  const card = template.content.firstElementChild.cloneNode(true);
  const fill = (name, text) => (card.querySelector(`.${name}`).textContent = text);
  card.dataset.book = book.id;
  card.dataset.cloth = book.id % 7;
  card.dataset.motif = book.id % 4;
  fill("title", book.title);
  fill("author", book.author);
  fill("imprint", `${book.subject} · ${book.year}`);
  fill("euros", money(book.price));
  fill("converted", book.converted_price ? `≈ ${money(book.converted_price, currency)}` : "");
  const add = card.querySelector(".add");
  add.setAttribute("aria-label", `Add ${book.title} to the basket`);
  add.addEventListener("click", () => onAdd(book));
  cards.set(book.id, card);
  list.append(card);
}

export function showStock(id, stock, inBasket) {
  const card = cards.get(id);
  if (!card) return;
  const place = card.querySelector(".stock");
  const text = describe(stock);
  if (place.textContent && place.textContent !== text) flash(place);
  place.textContent = text;
  card.dataset.stock = stock === 0 ? "none" : stock <= 2 ? "few" : "enough";
  card.querySelector(".add").disabled = inBasket >= stock;
}

function describe(stock) {
  if (stock === 0) return "Out of stock";
  return stock <= 2 ? `Only ${stock} left` : `${stock} in stock`;
}

function flash(place) {
  place.classList.remove("changed");
  void place.offsetWidth; // starts the animation again
  place.classList.add("changed");
}
