/**
 * What a person does here, and what follows from it: joins store, outbox and connection. Views call this and read the store.
 *
 * @typedef {import("./types.js").Item} Item
 * @typedef {import("./types.js").Room} Room
 */

import { tidyBlobs } from "./blobs.js";
import { deleteItem, forget, outboxItems, recall, remember } from "./db.js";
import { draftFiles, dropDrafts } from "./draft.js";
import { origins, readRoom, readRooms, readUser } from "./frames.js";
import { newId } from "./ids.js";
import { askAnywhere, askCluster } from "./lookout.js";
import { Media } from "./media.js";
import { Outbox } from "./outbox.js";
import { attachedTo } from "./pending.js";
import { Reader } from "./reader.js";
import { noAnswer, problemOf, Refusal } from "./refusal.js";
import { clearShelf, fromShelf, keepShelf } from "./shelf.js";
import { Connection } from "./socket.js";
import { Uploads } from "./uploads.js";

const LOGIN_MS = 12_000;
const LOGOUT_MS = 3000;
const ASK_MS = 12_000;
const READ_MARK_MS = 1000;
const TYPING_MS = 3000;
const LOOK_MS = 2000;
/** The list of public rooms is in use: so long it is good enough. */
const LISTED_MS = 3000;
const KEEP_ROOMS_MS = 2000;
/** So often a message's files are uploaded again because no node knows them. */
const LOST_MAX = 3;
const STRAY_FILE_MS = 24 * 3600 * 1000;

export class Chat {
  #store;
  #home;
  /** @type {Connection} */
  #connection;
  #outbox;
  /** @type {string | null} */
  #token = null;
  /** Settles the log-in under way. @type {{ resolve: () => void, reject: (error: Error) => void } | null} */
  #entering = null;
  /** Read marks to be sent. @type {Map<number, number>} */
  #marks = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #markTimer;
  #typed = { room: 0, time: 0 };
  /** How often the files of a waiting message were not to be found. @type {Map<string, number>} */
  #lost = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #roomsTimer;

  /**
   * @param {import("./store.js").Store} store
   * @param {string} home the page's own origin
   */
  constructor(store, home) {
    this.#store = store;
    this.#home = home;
    this.#connection = this.#newConnection();
    this.uploads = new Uploads({ url: () => this.#connection.url, token: () => this.#token });
    this.media = new Media({
      nodes: () => this.nodes,
      token: () => this.#token,
      ask: (op, fields) => this.ask(op, fields),
    });
    this.#outbox = new Outbox({
      send: (item) => this.#sendItem(item),
      changed: (items) => store.setOutbox(items),
      acknowledged: (item, reply) => store.acknowledge(item, reply),
      gone: (item) => {
        this.#lost.delete(item.id);
        this.uploads.forget(attachedTo(item));
      },
    });
    this.reader = new Reader(store, (op, fields, patience_ms) => this.#connection.request(op, fields, { patience_ms }));
    setInterval(() => this.reader.refreshJoinable(this.reader.idle_ms), LOOK_MS);
    void tidyFiles();
    keepShelf(store);
    store.on("rooms", () => (this.#roomsTimer ??= setTimeout(() => this.#keepRooms(), KEEP_ROOMS_MS)));
  }

  /** Logs in with what the last visit left, when it left something. @returns {boolean} */
  resume() {
    const session = recall("session");
    if (typeof session?.token !== "string" || typeof session?.name !== "string") return false;
    this.#token = session.token;
    const rooms = readRooms(recall(`rooms:${session.name}`));
    this.#store.expect(readUser({ name: session.name }), rooms);
    void this.#outbox.open(session.name);
    void fromShelf(session.name).then((kept) => kept && this.#token === session.token && this.#store.recall(kept.epoch, kept.messages, kept.people));
    this.#hello();
    return true;
  }

  /**
   * @param {"login" | "register"} op
   * @param {string} name
   * @param {string} password
   * @param {string} id the same for the same try, repeated
   * @param {string} [invite] the token of a link that lets one in
   * @returns {Promise<void>} rejects with a `Refusal`
   */
  async enter(op, name, password, id, invite) {
    this.#connection.close();
    this.#connection = this.#newConnection();
    const connection = this.#connection;
    const entered = new Promise((resolve, reject) => {
      this.#entering = { resolve: () => resolve(undefined), reject };
      setTimeout(() => reject(connection.lastProblem ? new Refusal(connection.lastProblem) : noAnswer()), LOGIN_MS);
    });
    // Once there is a token, coming back is a `hello`.
    connection.open(() => (this.#token === null ? { op, id, name, password, ...(invite ? { invite } : {}) } : this.#helloFrame()));
    try {
      await entered;
    } catch (error) {
      if (this.#token === null) connection.close();
      throw error;
    } finally {
      this.#entering = null;
    }
  }

  /**
   * Sets a new password by a link, and logs in with it.
   * @param {string} link the link's token
   * @param {string} password
   * @param {string} id the same for the same try, repeated
   * @returns {Promise<void>} rejects with a `Refusal`
   */
  async resetPassword(link, password, id) {
    const reply = await askAnywhere([this.#home, ...this.#rememberedNodes()], "set_password", { link, password }, id);
    await this.enter("login", readUser(reply.user).name, password, newId());
  }

  async logOut() {
    const { me } = this.#store;
    this.#flushMarks();
    try {
      await this.#connection.request("logout", {}, { patience_ms: LOGOUT_MS });
    } catch {
      // Unauthorized means done; and with nobody answering, the token is at least gone from here.
    }
    if (me) this.#leave(null);
  }

  /**
   * The account ends for good, and with it what waits here in its name.
   * @param {string} password
   * @param {string} id
   */
  async deleteAccount(password, id) {
    try {
      await this.#connection.request("delete_account", { password }, { id, patience_ms: ASK_MS });
    } catch (error) {
      // Its sessions have ended: what was asked for is done.
      if (problemOf(error).code !== "unauthorized") throw error;
    }
    const { me } = this.#store;
    if (!me) return;
    this.#leave(null);
    await this.#dropAll(me.name);
  }

  /**
   * What waited here in somebody's name goes with the name.
   * @param {string} user
   */
  async #dropAll(user) {
    this.uploads.forget(dropDrafts(user));
    for (const item of await outboxItems(user)) {
      this.uploads.forget(attachedTo(item));
      await deleteItem(item.id);
    }
  }

  /** The node that serves us, or else the one the page came from. */
  get node() {
    return this.#connection.url ?? this.#home;
  }

  /** All nodes, the one that serves us first. */
  get nodes() {
    return [...new Set([this.node, ...this.#connection.nodes, this.#home])];
  }

  /** After the server asked the page to stay away. */
  connectAgain() {
    this.#hello();
  }

  /** The page goes out of view, perhaps for good: what was read is told now. */
  rest() {
    if (this.#marks.size > 0) this.#flushMarks();
  }

  /** The browser came online or into view. */
  wake() {
    this.#connection.probe();
    this.listRooms();
  }

  /** The list of rooms is being used, and should have what others have made. */
  listRooms() {
    void this.reader.refreshJoinable(LISTED_MS);
  }

  /**
   * @param {number} room
   * @param {string} text
   * @param {number | null} replyTo
   * @param {import("./types.js").Local[]} [attached] files that go with it
   */
  send(room, text, replyTo, attached = []) {
    this.#typed = { room: 0, time: 0 };
    this.#outbox.add("send", room, { text, ...(replyTo === null ? {} : { reply_to: replyTo }), ...(attached.length > 0 ? { attached } : {}) });
  }

  /**
   * @param {number} room
   * @param {number} seq
   * @param {string} text
   * @param {number} version the one that was edited
   */
  edit(room, seq, text, version) {
    // Behind another edit of one's own that still waits, the version is not known.
    const behind = this.#store.outbox.some((item) => item.op === "edit" && item.state === "waiting" && item.room === room && item.fields.seq === seq);
    this.#outbox.add("edit", room, version > 0 && !behind ? { seq, text, version } : { seq, text });
  }

  /**
   * @param {number} room
   * @param {number} seq
   */
  remove(room, seq) {
    this.#outbox.add("delete", room, { seqs: [seq] });
  }

  /**
   * @param {number} room
   * @param {number} seq
   * @param {string} emoji
   * @param {boolean} on
   */
  react(room, seq, emoji, on) {
    this.#outbox.add("react", room, { seq, emoji, on });
  }

  /** @param {string} id a refused item */
  tryAgain(id) {
    this.#outbox.again(id);
  }

  /** @param {string} id a refused item */
  discard(id) {
    this.#outbox.discard(id);
  }

  /** @param {number} room */
  typing(room) {
    const now = Date.now();
    if (this.#typed.room === room && now - this.#typed.time < TYPING_MS) return;
    this.#typed = { room, time: now };
    this.#connection.mention("typing", { room });
  }

  /**
   * Read down to here; told to the servers about once a second.
   * @param {number} room
   * @param {number} seq
   */
  read(room, seq) {
    const state = this.#store.rooms.get(room);
    if (!state || seq <= state.read_seq) return;
    this.#store.markRead(room, seq);
    this.#marks.set(room, seq);
    this.#markTimer ??= setTimeout(() => this.#flushMarks(), READ_MARK_MS);
  }

  /**
   * A change that a dialog waits for. Repeat it with the same id.
   * @param {string} op
   * @param {Record<string, unknown>} fields
   * @param {string} [id]
   */
  async change(op, fields, id = newId()) {
    const reply = await this.#connection.request(op, fields, { id, patience_ms: ASK_MS });
    const room = readRoom(reply.room);
    if (room && (op === "create_room" || op === "join" || op === "open_direct")) this.#store.keepRoom({ ...room, member: true });
    if (op === "leave") this.#store.apply({ ev: "room", ...(room ?? missingRoom(Number(fields.room))), at: 0, member: false });
    if (op === "leave") void this.reader.refreshJoinable();
    return { reply, room };
  }

  /**
   * Shown at once, and taken back when it was refused.
   * @param {number} room
   * @param {boolean} on whether its new messages make no noise
   */
  async mute(room, on) {
    this.#store.setMuted(room, on);
    try {
      await this.change("mute", { room, on });
    } catch (error) {
      this.#store.setMuted(room, !on);
      throw error;
    }
  }

  /**
   * A question that changes nothing.
   * @param {string} op
   * @param {Record<string, unknown>} fields
   */
  ask(op, fields) {
    return this.#connection.request(op, fields, { patience_ms: ASK_MS });
  }

  /**
   * A message leaves once a node has its files.
   * @param {import("./types.js").Item} item
   */
  async #sendItem(item) {
    const { attached: _, ...fields } = item.fields;
    const attached = attachedTo(item);
    if (attached.length > 0) {
      const hashes = await Promise.all(attached.map((local) => this.uploads.finished(local)));
      fields.files = attached.map((local, index) => ({ file: hashes[index], name: local.name }));
    }
    try {
      return await this.#connection.request(item.op, { room: item.room, ...fields }, { id: item.id });
    } catch (error) {
      // The node that had them may be gone: they are uploaded again, and the message is repeated under its id.
      const lost = (this.#lost.get(item.id) ?? 0) + 1;
      if (attached.length === 0 || problemOf(error).code !== "not_found" || lost > LOST_MAX) throw error;
      this.#lost.set(item.id, lost);
      this.uploads.again(attached);
      throw noAnswer();
    }
  }

  /**
   * Before anyone is logged in: how the node at home stands, and which others there are.
   * @returns {Promise<void>}
   */
  async look() {
    if (this.#token !== null) return;
    for (const node of [this.#home, ...this.#rememberedNodes().filter((url) => url !== this.#home)]) {
      const seen = await askCluster(node);
      if (this.#token !== null) return;
      if (!seen) {
        this.#store.setStatus({ phase: "lost" });
        continue;
      }
      this.#keepNodes(seen.cluster.nodes.map((other) => other.public));
      this.#store.setStatus({ phase: "connected", node: seen.node, quorum: seen.cluster.quorum });
      return;
    }
  }

  /** With no majority on this side, perhaps there is one on the other: then move there. */
  async lookForMajority() {
    const here = this.#connection.url;
    if (!here || this.#store.status.quorum) return;
    const others = this.#connection.nodes.filter((node) => node !== here);
    await Promise.all(
      others.map(async (node) => {
        const seen = await askCluster(node);
        if (seen?.cluster.quorum && !this.#store.status.quorum) this.#connection.moveTo(node);
      }),
    );
  }

  #newConnection() {
    return new Connection(
      {
        lost: () => this.#store.setStatus({ phase: "lost" }),
        welcome: (welcome) => this.#welcome(welcome),
        event: (event) => this.#event(event),
        ended: (why, problem) => this.#ended(why, problem),
      },
      this.#home,
      this.#rememberedNodes(),
    );
  }

  #hello() {
    this.#connection.open(() => this.#helloFrame());
  }

  #helloFrame() {
    const { cursor, epoch } = this.#store;
    const where = cursor !== null && epoch !== null ? { cursor, epoch } : {};
    return { op: "hello", token: this.#token, ...where };
  }

  /** @param {import("./types.js").Welcome} welcome */
  #welcome(welcome) {
    if (welcome.token) {
      this.#token = welcome.token;
      remember("session", { token: welcome.token, name: welcome.user.name });
    }
    this.reader.behind = welcome.behind;
    this.#keepNodes(welcome.nodes);
    this.#store.welcome(welcome);
    this.#store.setStatus({ phase: "connected", node: welcome.node, quorum: welcome.cluster?.quorum ?? this.#store.status.quorum });
    if (!welcome.cluster) void this.#learnQuorum();
    void this.#outbox.open(welcome.user.name);
    this.#outbox.quicken();
    this.#entering?.resolve();
    this.#flushMarks();
    void this.reader.loadUsers();
    void this.reader.refreshJoinable();
  }

  /** @param {import("./types.js").ServerEvent} event */
  #event(event) {
    const had = this.#store.status.quorum;
    this.#store.apply(event);
    if (event.ev === "message") this.reader.knowUsers([event.from]);
    if (event.ev === "message" && event.from === this.#store.me?.name) this.#outbox.settle(event.id);
    if (event.ev === "cluster") {
      if (event.quorum && !had) this.#outbox.quicken();
      this.#keepNodes(event.nodes.map((node) => node.public));
    }
    if (event.ev === "room" && !event.member) void this.reader.refreshJoinable();
  }

  /**
   * @param {"logged out" | "stopped"} why
   * @param {import("./types.js").Problem | null} problem
   */
  #ended(why, problem) {
    if (this.#token === null) {
      this.#entering?.reject(problem ? new Refusal(problem) : noAnswer());
      return;
    }
    if (why === "logged out") this.#leave("ended");
    else this.#store.setStatus({ phase: "stopped" });
  }

  /** @param {"ended" | null} why */
  #leave(why) {
    const token = this.#token;
    this.#token = null;
    const { me } = this.#store;
    if (me) {
      forget(`rooms:${me.name}`);
      void clearShelf(me.name);
    }
    this.#connection.close();
    this.#outbox.close();
    this.uploads.stop();
    this.media.clear();
    this.#marks.clear();
    // Another tab may have logged in anew meanwhile.
    if (recall("session")?.token === token) forget("session");
    this.farewell = why;
    this.#store.clear();
  }

  /** Why nobody is logged in any more; for the form. @type {"ended" | null} */
  farewell = null;

  #flushMarks() {
    clearTimeout(this.#markTimer);
    this.#markTimer = undefined;
    for (const [room, seq] of this.#marks) {
      this.#connection.request("mark_read", { room, seq }, { patience_ms: ASK_MS }).then(
        () => this.#marks.get(room) === seq && this.#marks.delete(room),
        // The next connection, or the next mark, says it again.
        () => undefined,
      );
    }
  }

  async #learnQuorum() {
    const { url } = this.#connection;
    const seen = url ? await askCluster(url) : null;
    if (!seen || url !== this.#connection.url) return;
    this.#connection.knowUp(seen.cluster.nodes);
    this.#store.setStatus({ quorum: seen.cluster.quorum });
  }

  /** The list of rooms and what is in them, for a visit on which no server answers. */
  #keepRooms() {
    this.#roomsTimer = undefined;
    const { me, rooms, epoch } = this.#store;
    if (!me || epoch === null) return;
    if (this.#store.status.phase === "connected") void this.reader.loadAhead();
    remember(`rooms:${me.name}`, [...rooms.values()].map(readRoom));
  }

  /** @returns {string[]} */
  #rememberedNodes() {
    return origins(recall("nodes"));
  }

  /** @param {string[]} nodes */
  #keepNodes(nodes) {
    const known = origins(nodes);
    if (known.length === 0) return;
    this.#connection.know(known);
    remember("nodes", known);
  }
}

/**
 * @param {number} room
 * @returns {Room}
 */
function missingRoom(room) {
  return { room, name: "", kind: "private", topic: "", users: [], member: false, last_seq: 0, at: 0 };
}

/** Lets go of files whose message or draft is gone, as when a tab was closed between the two. */
async function tidyFiles() {
  const wanted = draftFiles();
  for (const item of await outboxItems(null)) for (const { id } of attachedTo(item)) wanted.add(id);
  await tidyBlobs((id) => wanted.has(id), Date.now() - STRAY_FILE_MS);
}
