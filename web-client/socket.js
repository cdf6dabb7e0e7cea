/**
 * The connection to the cluster: one WebSocket at a time to whichever node is there, with every unanswered request carried
 * over to the next one under its own id.
 *
 * It owns who is tried when. It tells what came (`welcome`, `event`), when a node is `lost` and when all is over (`ended`).
 * It never navigates, and never gives up by itself unless the server says so.
 *
 * @typedef {import("./types.js").Success} Success
 * @typedef {import("./types.js").ServerEvent} ServerEvent
 * @typedef {import("./types.js").Welcome} Welcome
 * @typedef {import("./types.js").Problem} Problem
 *
 * @typedef {object} Ports
 * @property {(welcome: Welcome) => void} welcome
 * @property {(event: ServerEvent) => void} event
 * @property {() => void} lost
 * @property {(why: "logged out" | "stopped", problem: Problem | null) => void} ended
 *
 * @typedef {{ url: string, ws: WebSocket, id: string, op: string, timer: ReturnType<typeof setTimeout> | undefined, heard: number }} Link
 * @typedef {{ frame: string, sent: number, resolve: (reply: Success) => void, reject: (error: Error) => void,
 *   timer: ReturnType<typeof setTimeout> | undefined }} Ask
 */

import { afterClose, choose, pause, socketUrl } from "./backoff.js";
import { readFrame, readWelcome } from "./frames.js";
import { newId } from "./ids.js";
import { noAnswer, Refusal } from "./refusal.js";

const OPEN_MS = 2500;
const HELLO_MS = 7000;
const PROBE_MS = 2000;
/** An answer that takes longer than this, from a node that says nothing else either, is worth a probe. */
const ANSWER_MS = 1000;
/** A probe unanswered for so long: look for another node, while this one may still answer. */
const DOUBT_MS = 600;
const WATCH_MS = 500;

export class Connection {
  #ports;
  /** @type {string[]} */
  #nodes;
  #home;
  /** @type {(() => Record<string, unknown>) | null} */
  #handshake = null;
  /** @type {Link | null} */
  #live = null;
  /** @type {Link | null} */
  #candidate = null;
  /** @type {Map<string, Ask>} */
  #asks = new Map();
  /** Nodes that failed in this round, and those the cluster calls down. */
  #failed = new Set();
  #down = new Set();
  #failures = 0;
  #behind = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pauseTimer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watchTimer;
  #heartbeat_ms = 20_000;
  /** Why the last first frame was refused. @type {Problem | null} */
  lastProblem = null;
  /** When the probe under way was sent. @type {number | null} */
  #probed = null;
  /** Whether another node is being tried because of that. */
  #doubted = false;

  /**
   * @param {Ports} ports
   * @param {string} home the page's own origin
   * @param {string[]} nodes known from before
   */
  constructor(ports, home, nodes) {
    this.#ports = ports;
    this.#home = home;
    this.#nodes = [...new Set([home, ...nodes])];
  }

  /** @param {() => Record<string, unknown>} handshake the first frame, drawn up anew for each connection */
  open(handshake) {
    this.#handshake = handshake;
    this.#failed.clear();
    // Not to find one's own node is like losing it: the pause after that is the first one.
    this.#failures = -1;
    clearInterval(this.#watchTimer);
    this.#watchTimer = setInterval(() => this.#watch(), WATCH_MS);
    this.#try(this.#home);
  }

  close() {
    this.#handshake = null;
    clearTimeout(this.#pauseTimer);
    clearInterval(this.#watchTimer);
    this.#pauseTimer = undefined;
    for (const link of [this.#live, this.#candidate]) if (link) release(link);
    this.#live = this.#candidate = null;
    for (const [id, ask] of this.#asks) this.#settle(id, ask).reject(noAnswer());
  }

  /** @param {string[]} nodes public URLs, as the cluster says */
  know(nodes) {
    if (nodes.length > 0) this.#nodes = nodes;
  }

  /** @param {{ public: string, up: boolean }[]} nodes */
  knowUp(nodes) {
    this.#down = new Set(nodes.filter((node) => !node.up).map((node) => node.public));
  }

  get nodes() {
    return this.#nodes;
  }

  /** The node that serves us now, when there is one. */
  get url() {
    return this.#live?.url ?? null;
  }

  /**
   * Asks, over as many connections as it takes, always with the same id.
   * @param {string} op
   * @param {Record<string, unknown>} fields
   * @param {{ id?: string, patience_ms?: number }} [options] without patience it waits for ever
   * @returns {Promise<Success>} rejects with a `Refusal`
   */
  request(op, fields, options = {}) {
    const id = options.id ?? newId();
    const frame = JSON.stringify({ ...fields, id, op });
    return new Promise((resolve, reject) => {
      const earlier = this.#asks.get(id);
      if (earlier) this.#settle(id, earlier).reject(noAnswer());
      /** @type {Ask} */
      const ask = { frame, sent: now(), resolve, reject, timer: undefined };
      if (options.patience_ms !== undefined) {
        ask.timer = setTimeout(() => this.#settle(id, ask).reject(noAnswer()), options.patience_ms);
      }
      this.#asks.set(id, ask);
      this.#live?.ws.send(frame);
    });
  }

  /**
   * Says something that need not arrive.
   * @param {string} op
   * @param {Record<string, unknown>} fields
   */
  mention(op, fields) {
    this.#live?.ws.send(JSON.stringify({ ...fields, id: newId(), op }));
  }

  /** The browser is online or in view again: find out at once whether the node is still there. */
  probe() {
    if (!this.#handshake) return;
    if (this.#live) {
      if (this.#probed !== null) return;
      this.#probed = now();
      this.mention("ping", {});
    } else if (!this.#candidate) {
      this.#failures = 0;
      this.#failed.clear();
      this.#next();
    }
  }

  /**
   * Moves to a node that is better off, keeping this one until the other has answered.
   * @param {string} url
   */
  moveTo(url) {
    if (this.#handshake && !this.#candidate && url !== this.#live?.url) this.#try(url);
  }

  /** @param {string} url */
  #try(url) {
    clearTimeout(this.#pauseTimer);
    this.#pauseTimer = undefined;
    /** @type {WebSocket} */
    let ws;
    try {
      ws = new WebSocket(socketUrl(url));
    } catch {
      // Forbidden by the policy, or mixed content: as good as down.
      this.#miss(url);
      return;
    }
    /** @type {Link} */
    const link = { url, ws, id: "", op: "", timer: undefined, heard: now() };
    this.#candidate = link;
    // Slow networks get more time with each round of failures.
    link.timer = setTimeout(() => this.#lose(link, 1006), Math.min(10_000, OPEN_MS * (1 + Math.floor(Math.max(0, this.#failures) / 4))));
    ws.onopen = () => {
      if (!this.#handshake) return;
      const frame = { id: newId(), op: "", ...this.#handshake() };
      link.id = frame.id;
      link.op = frame.op;
      ws.send(JSON.stringify(frame));
      clearTimeout(link.timer);
      link.timer = setTimeout(() => this.#lose(link, 1006), HELLO_MS);
    };
    ws.onmessage = ({ data }) => this.#hear(link, data);
    ws.onclose = ({ code }) => this.#lose(link, code);
  }

  /**
   * @param {Link} link
   * @param {unknown} data
   */
  #hear(link, data) {
    link.heard = now();
    if (link === this.#live) this.#trust(link);
    const frame = readFrame(data);
    if (!frame) return;
    if ("event" in frame) {
      if (link === this.#live) this.#event(frame.event);
      return;
    }
    const { reply } = frame;
    if (link === this.#candidate && reply.re === link.id) {
      if (reply.ok) this.#arrive(link, readWelcome(reply));
      else this.#turnedAway(link, reply.error);
      return;
    }
    const ask = this.#asks.get(reply.re);
    if (!ask) return;
    this.#settle(reply.re, ask);
    if (reply.ok) ask.resolve(reply);
    else ask.reject(new Refusal(reply.error));
  }

  /** It spoke. @param {Link} live */
  #trust(live) {
    this.#probed = null;
    if (this.#doubted) this.#failed.delete(live.url);
    this.#doubted = false;
  }

  /** @param {ServerEvent} event */
  #event(event) {
    if (event.ev === "bye") {
      if (event.nodes.length > 0) this.know(event.nodes);
      if (this.#live) this.#failed.add(this.#live.url);
      // The old connection still serves until the next one stands.
      if (!this.#candidate) this.#later();
    }
    if (event.ev === "cluster") this.knowUp(event.nodes);
    this.#ports.event(event);
  }

  /**
   * @param {Link} link
   * @param {Welcome} welcome
   */
  #arrive(link, welcome) {
    clearTimeout(link.timer);
    if (welcome.nodes.length > 0) this.#nodes = welcome.nodes;
    this.knowUp(welcome.cluster?.nodes ?? []);
    const others = this.#nodes.some((node) => node !== link.url && !this.#failed.has(node) && !this.#down.has(node));
    if (welcome.behind && others && this.#behind < this.#nodes.length) {
      this.#behind += 1;
      this.#candidate = null;
      release(link);
      this.#failed.add(link.url);
      this.#next();
      return;
    }
    if (this.#live) release(this.#live);
    this.#live = link;
    this.#candidate = null;
    this.#heartbeat_ms = welcome.heartbeat_ms;
    this.#failed.clear();
    this.#failures = this.#behind = 0;
    this.#probed = null;
    this.#doubted = false;
    this.#ports.welcome(welcome);
    for (const ask of this.#asks.values()) {
      ask.sent = now();
      link.ws.send(ask.frame);
    }
  }

  /**
   * @param {Link} link
   * @param {Problem} problem
   */
  #turnedAway(link, problem) {
    this.lastProblem = problem;
    const wait = problem.code === "unavailable" || problem.code === "timeout" || problem.code === "internal";
    if (wait || (link.op === "hello" && problem.code === "rate_limited")) {
      this.#lose(link, 1006);
      return;
    }
    this.close();
    this.#ports.ended(problem.code === "unauthorized" ? "logged out" : "stopped", problem);
  }

  /**
   * @param {Link} link
   * @param {number} code
   */
  #lose(link, code) {
    release(link);
    const wasLive = link === this.#live;
    if (wasLive) this.#live = null;
    else if (link === this.#candidate) this.#candidate = null;
    else return;
    const next = afterClose(code);
    if (next !== "elsewhere") {
      this.close();
      this.#ports.ended(next === "logged out" ? "logged out" : "stopped", null);
      return;
    }
    if (wasLive) {
      this.#probed = null;
      this.#failed.add(link.url);
      this.#ports.lost();
      if (!this.#candidate && !this.#pauseTimer) this.#later();
    } else {
      this.#miss(link.url);
    }
  }

  /** @param {string} url a node that did not take us */
  #miss(url) {
    this.#failed.add(url);
    this.#failures += 1;
    if (!this.#live) this.#ports.lost();
    // A move from a living connection that failed is no reason to hurry on, unless that one is leaving.
    if (this.#live && !this.#failed.has(this.#live.url)) {
      this.#failed.clear();
      return;
    }
    this.#later();
  }

  #later() {
    if (!this.#handshake) return;
    clearTimeout(this.#pauseTimer);
    this.#pauseTimer = setTimeout(() => this.#next(), pause(Math.max(0, this.#failures), Math.random));
  }

  #next() {
    // Come to early, as by a probe: the pause must not end a second time.
    clearTimeout(this.#pauseTimer);
    this.#pauseTimer = undefined;
    if (!this.#handshake) return;
    let url = choose(this.#nodes, this.#failed, this.#down, Math.random);
    if (url === null) {
      this.#failed.clear();
      if (this.#live) this.#failed.add(this.#live.url);
      url = choose(this.#nodes, this.#failed, this.#down, Math.random);
    }
    if (url !== null) this.#try(url);
    else this.#later();
  }

  /** Notices a node that has fallen silent. */
  #watch() {
    const live = this.#live;
    if (!live) return;
    const time = now();
    const silent = time - live.heard;
    if (this.#probed !== null) {
      if (time - this.#probed > PROBE_MS) this.#lose(live, 1006);
      else if (time - this.#probed > DOUBT_MS && !this.#candidate && !this.#pauseTimer && !this.#failed.has(live.url)) {
        this.#doubted = true;
        this.#failed.add(live.url);
        this.#next();
      }
      return;
    }
    let oldest = time;
    for (const ask of this.#asks.values()) oldest = Math.min(oldest, ask.sent);
    const unanswered = time - oldest > ANSWER_MS && silent > ANSWER_MS;
    if (unanswered || silent > this.#heartbeat_ms * 1.5 + 1000) this.probe();
  }

  /**
   * @param {string} id
   * @param {Ask} ask
   */
  #settle(id, ask) {
    clearTimeout(ask.timer);
    if (this.#asks.get(id) === ask) this.#asks.delete(id);
    return ask;
  }
}

/** @param {Link} link hears and says nothing any more */
function release(link) {
  clearTimeout(link.timer);
  link.ws.onopen = link.ws.onmessage = link.ws.onclose = null;
  try {
    link.ws.close();
  } catch {
    // Never opened.
  }
}

function now() {
  return performance.now();
}
