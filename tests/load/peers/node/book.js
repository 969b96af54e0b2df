// Plays on nodejs-order-book; speaks as tests/load/peers/worker.py does.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");

const [modules, operationsPath] = process.argv.slice(2).map((argument) => argument.replace("--modules=", ""));
const { OrderBook } = require(path.join(modules, "nodejs-order-book"));
const { version } = JSON.parse(fs.readFileSync(path.join(modules, "nodejs-order-book", "package.json")));
const operations = JSON.parse(fs.readFileSync(operationsPath));

const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

// What an order has traded is told by what it had left before: the book gives its state after.
function play(book, told) {
  const left = new Map();
  for (const [number, isBuy, price, size] of operations) {
    const id = String(number);
    if (!size) {
      book.cancel(id);
      told.push([number, 0, 0]);
      continue;
    }
    const answer = book.limit({ id, side: isBuy ? "buy" : "sell", size, price });
    let own = answer.quantityLeft;
    for (const order of answer.done) {
      if (order.id === id) continue;
      told.push([Number(order.id), left.get(order.id), 0]);
    }
    const partial = answer.partial;
    if (partial !== null && partial.id !== id) {
      told.push([Number(partial.id), left.get(partial.id) - partial.size, partial.size]);
      left.set(partial.id, partial.size);
    } else if (partial !== null) {
      own = partial.size;
    }
    if (own) left.set(id, own);
    told.push([number, 0, own]);
  }
}

function turn() {
  const told = [];
  const book = new OrderBook();
  const began = process.hrtime.bigint();
  play(book, told);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  return { seconds, digest: crypto.createHash("sha256").update(JSON.stringify(told)).digest("hex") };
}

tell({ version });
readline.createInterface({ input: process.stdin }).on("line", () => tell(turn()));
