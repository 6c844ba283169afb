// Every event that one node hears, in order and each once: node subscriber.js HOST READER-KEY (docs/bus.md).
// npm install (package.json)
const { readFileSync } = require("node:fs");
const { decode, encode } = require("@msgpack/msgpack");
const { Request, Subscriber } = require("zeromq");

const [host, file] = process.argv.slice(2);
const key = JSON.parse(readFileSync(file, "utf8"));
const curve = {
  curveServerKey: key.server,
  curvePublicKey: key.public,
  curveSecretKey: key.secret,
};

function unlessLate(problem) {
  if (problem.code !== "EAGAIN") throw problem;
}

async function main() {
  const published = new Subscriber(curve);
  const questions = new Request({ ...curve, receiveTimeout: 5000, relaxed: true, correlate: true });
  published.connect(`tcp://${host}:${key.port}`);
  questions.connect(`tcp://${host}:${key.port + 1}`);
  published.subscribe("zc1.event.", "zc1.heartbeat.");

  let life = 0; // how far we are with that daemon
  let number = 0;
  const printed = new Set(); // the node, life and number of what was printed
  for await (const [, body] of published) {
    const news = decode(body);
    if (news.incarnation < life || (news.incarnation === life && news.number <= number)) continue;
    await questions.send(encode({ ask: "since", incarnation: life, number })); // whatever was missed comes with it
    const story = await questions.receive().then(([answer]) => decode(answer), unlessLate);
    if (!story) continue; // the node is away, or we stood still: the next heartbeat asks again
    for (const { number: at, record } of story.events) {
      number = at;
      const told = `${record.node} ${record.incarnation} ${record.number}`;
      if (printed.has(told)) continue;
      printed.add(told);
      console.log(JSON.stringify(record));
    }
    life = story.incarnation;
    if (!story.more) number = story.number;
  }
}

main().catch((problem) => {
  console.error(problem.message);
  process.exit(1);
});
