import assert from "node:assert/strict";
import { test } from "node:test";
import { History, points, readMetrics, SAMPLES } from "../metrics.js";

const text = (/** @type {number} */ count, /** @type {number} */ sum, /** @type {number} */ waiting) => `# HELP chat_sessions People
chat_sessions 3
chat_actor_mailbox_messages{actor="hub"} ${waiting}
chat_actor_handle_seconds_bucket{actor="hub",message="typing",le="0.1"} 9
chat_actor_handle_seconds_sum{actor="hub",message="typing"} ${sum}
chat_actor_handle_seconds_count{actor="hub",message="typing"} ${count}
chat_actor_handle_seconds_sum{actor="hub",message="peers"} 1
chat_actor_handle_seconds_count{actor="hub",message="peers"} 10
chat_something_else NaN
`;

test("an actor's messages are summed, and two samples make a rate and a mean", () => {
  const history = new History();
  history.add(readMetrics(text(100, 2, 4), 1000));
  assert.equal(readMetrics(text(1, 1, 0), 0).plain.get("chat_sessions"), 3);
  assert.deepEqual(history.actors.get("hub"), { waiting: [4], rate: [], micros: [] });
  history.add(readMetrics(text(300, 2.5, 0), 3000));
  assert.deepEqual(history.actors.get("hub"), { waiting: [4, 0], rate: [100], micros: [2500] });
  history.add(readMetrics(text(300, 2.5, 0), 5000));
  assert.deepEqual(history.actors.get("hub")?.micros, [2500, 0]);
});

test("a node that started anew gives no negative rate, and the course is bounded", () => {
  const history = new History();
  history.add(readMetrics(text(100, 2, 0), 1000));
  history.add(readMetrics(text(5, 0.1, 0), 2000));
  assert.deepEqual(history.actors.get("hub")?.rate, []);
  for (let at = 0; at < 200; at++) history.add(readMetrics(text(5 + at, 0.1, at), 3000 + at));
  assert.equal(history.actors.get("hub")?.waiting.length, SAMPLES);
});

test("a sparkline stands on its foot and ends at the right edge", () => {
  assert.equal(points([0, 2, 1], 118, 10), "114,10 116,0 118,5");
  assert.equal(points([], 118, 10), "");
  assert.equal(points([0, 0], 118, 10), "116,10 118,10");
});
