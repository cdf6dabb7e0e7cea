// Has openapi.json validated, a client generated from it, and that talk to the chat: `node story.mjs FOLDER URL…`.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { createClient } from "@hey-api/openapi-ts";
import { Validator } from "@seriousme/openapi-schema-validator";

const [folder, ...urls] = process.argv.slice(2);
const here = fileURLToPath(new URL(".", import.meta.url));

const answer = await fetch(`${urls[0]}/api/v1/openapi.json`);
const description = await answer.json();
const checked = await new Validator().validate(structuredClone(description));
assert.deepEqual(checked.errors ?? [], []);
assert.ok(checked.valid);

const input = join(folder, "openapi.json");
writeFileSync(input, JSON.stringify(description));
await createClient({ input, output: { path: join(folder, "client") }, logs: { level: "silent" } });

// Compiled with all that the compiler can say; run as it comes out.
cpSync(join(here, "talk.ts"), join(folder, "talk.ts"));
writeFileSync(join(folder, "package.json"), "{}");
const options = ["--strict", "--target", "es2022", "--lib", "es2022,dom,dom.iterable"];
const modules = ["--module", "commonjs", "--moduleResolution", "node10", "--outDir", join(folder, "built")];
const compiler = join(here, "node_modules/.bin/tsc");
execFileSync(compiler, [...options, ...modules, join(folder, "talk.ts")], { cwd: folder, stdio: "inherit" });

const { talk } = createRequire(import.meta.url)(join(folder, "built/talk.js"));
const cluster = await (await fetch(`${urls[0]}/api/v1/cluster`)).json();
assert.deepEqual(await talk(urls, "generated"), {
  duplicate: true,
  seqs: [1, 1],
  said: "generated: hello",
  holds: ["a.txt"],
  fetched: "bytes",
  refused: "conflict",
  current: "hello",
  nodes: cluster.nodes.length,
  event: "message",
});
console.log("validated, generated, and talked");
