// Amounts as people write them. The API sends them as decimal strings.

const formats = new Map();

export function money(amount, currency = "EUR") {
  if (!formats.has(currency)) {
    formats.set(currency, new Intl.NumberFormat(undefined, { style: "currency", currency }));
  }
  return formats.get(currency).format(amount);
}

export function cents(amount) {
  return Math.round(Number(amount) * 100);
}
