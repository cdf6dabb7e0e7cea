// What a program does that was written with a client generated from openapi.json. It is checked by the compiler against
// the types that the generator made.

import { createClient } from "./client/client";
import type { Event } from "./client/types.gen";
import * as chat from "./client/sdk.gen";

/** Talks to the chat by way of these nodes, in turn; gives what it came to. */
export async function talk(urls: string[], name: string) {
  const password = "correct horse";
  const at = (place: number, token?: string) =>
    createClient({ baseUrl: urls[place % urls.length], auth: token, throwOnError: true });
  const key = (id: string) => ({ "Idempotency-Key": `${name}-${id}` });

  await chat.register({ client: at(0), body: { name, password }, headers: key("register"), throwOnError: true });
  const welcome = await chat.login({ client: at(1), body: { name, password }, throwOnError: true });
  const token: string = welcome.data.token;

  const body = { name: `room of ${name}`, kind: "public" };
  const made = await chat.createRoom({ client: at(2, token), body, throwOnError: true });
  const room: number = made.data.room.room;

  const bytes = new Blob(["bytes"]);
  const uploaded = await chat.upload({ client: at(0, token), query: { name: "a.txt" }, body: bytes, throwOnError: true });
  const files = [{ file: uploaded.data.file, name: uploaded.data.name }];
  const send = { client: at(0, token), body: { room, text: "hello", files }, headers: key("send"), throwOnError: true } as const;
  const sent = await chat.send(send);
  const again = await chat.send(send);

  const history = await chat.history_({ client: at(1, token), body: { room }, throwOnError: true });
  const [message] = history.data.messages;
  const file = { file: uploaded.data.file, name: "a.txt" };
  const fetched = await chat.download({ client: at(2, token), path: file, parseAs: "text", throwOnError: true });

  const refused = await chat.edit({ client: at(0, token), body: { room, seq: sent.data.seq, text: "x", version: 7 }, throwOnError: false });
  const cluster = await chat.cluster({ client: at(0), throwOnError: true });

  const event: Event = { ...message, ev: "message" };
  return {
    duplicate: again.data.duplicate,
    seqs: [sent.data.seq, again.data.seq],
    said: `${message.from}: ${message.text}`,
    holds: message.files.map((one) => one.name),
    fetched: fetched.data,
    refused: refused.error?.error.code,
    current: refused.error?.error.current?.text,
    nodes: cluster.data.nodes.length,
    event: event.ev,
  };
}
