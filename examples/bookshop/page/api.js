// The shop's API, and what it says when it refuses.

export class Refusal extends Error {}

export function searchBooks({ words, currency, offset }, signal) {
  const query = new URLSearchParams({ words, offset });
  if (currency) query.set("currency", currency);
  return ask(`/api/books?${query}`, { signal });
}

export function placeOrder(customer, lines) {
  return ask("/api/orders", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ customer, lines }),
  });
}

async function ask(address, options) {
  const answer = await fetch(address, options).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The shop does not answer. Please try again in a moment.");
  });
  if (answer.ok) return answer.json();
  throw new Refusal(await reason(answer));
}

async function reason(answer) {
  const { detail } = await answer.json().catch(() => ({}));
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) return detail.map((problem) => problem.msg).join(". ");
  return "Something went wrong in the shop. Nothing was ordered.";
}
