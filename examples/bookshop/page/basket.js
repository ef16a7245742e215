// What the customer is about to order.

import { cents, money } from "./money.js";

const template = document.querySelector("#line");
const form = document.querySelector("#order");
const list = document.querySelector("#lines");
const total = document.querySelector("#total");
const empty = document.querySelector("#basket-empty");
const shortcut = document.querySelector("#to-basket");

export class Basket {
  #lines = new Map();

  constructor(stockOf, onChange) {
    this.stockOf = stockOf;
    this.onChange = onChange;
  }

  quantity(id) {
    return this.#lines.get(id)?.quantity ?? 0;
  }

  change(book, by) {
    const quantity = this.quantity(book.id) + by;
    if (quantity > 0) this.#lines.set(book.id, { book, quantity });
    else this.#lines.delete(book.id);
    this.show();
    this.onChange(book.id);
  }

  clear() {
    const ids = [...this.#lines.keys()];
    this.#lines.clear();
    this.show();
    ids.forEach(this.onChange);
  }

  toOrder() {
    return [...this.#lines.values()].map(({ book, quantity }) => ({ book_id: book.id, quantity }));
  }

  show() {
    const lines = [...this.#lines.values()];
    const copies = lines.reduce((sum, { quantity }) => sum + quantity, 0);
    const sum = lines.reduce((all, { book, quantity }) => all + cents(book.price) * quantity, 0);
    list.replaceChildren(...lines.map((line) => this.#draw(line)));
    total.textContent = money(sum / 100);
    form.hidden = copies === 0;
    empty.hidden = copies > 0;
    shortcut.hidden = copies === 0;
    shortcut.textContent = `Basket: ${copies} · ${money(sum / 100)}`;
  }

  #draw({ book, quantity }) {
    const line = template.content.firstElementChild.cloneNode(true);
    const find = (name) => line.querySelector(`.${name}`);
    const stock = this.stockOf(book.id);
    find("line-title").textContent = book.title;
    find("line-price").textContent = money((cents(book.price) * quantity) / 100);
    find("quantity").textContent = quantity;
    find("line-hint").textContent = quantity > stock ? `Only ${stock} left` : "";
    find("less").setAttribute("aria-label", `One copy of ${book.title} less`);
    find("more").setAttribute("aria-label", `One copy of ${book.title} more`);
    find("more").disabled = quantity >= stock;
    find("less").addEventListener("click", () => this.change(book, -1));
    find("more").addEventListener("click", () => this.change(book, +1));
    return line;
  }
}
