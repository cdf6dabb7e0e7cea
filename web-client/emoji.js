/** A few hundred common emoji by their names, for `:name:` and the picker. The first name is the one that is shown. */

/** Groups on lines of their own; each entry is the emoji, its name and other words for it. */
const DATA = `
😀 grinning smile happy|😃 smiley|😄 smile happy|😁 grin|😆 laughing|😅 sweat_smile|🤣 rofl|😂 joy tears laugh|🙂 slightly_smiling|🙃 upside_down|😉 wink|😊 blush|😇 innocent angel|🥰 hearts love|😍 heart_eyes love|🤩 star_struck|😘 kiss|😋 yum|😛 tongue|😜 crazy wink|🤪 zany|🤗 hug|🤭 giggle|🤫 shush quiet|🤔 thinking|🤐 zipper_mouth|🤨 raised_eyebrow|😐 neutral|😑 expressionless|😶 no_mouth|😏 smirk|😒 unamused|🙄 eye_roll|😬 grimace|😌 relieved|😔 pensive sad|😪 sleepy|😴 sleeping|😷 mask ill|🤒 thermometer ill|🤕 bandage hurt|🤢 nauseated|🤮 vomiting|🤧 sneeze|🥵 hot|🥶 cold|🥴 woozy|😵 dizzy|🤯 mind_blown exploding|🤠 cowboy|🥳 party|😎 cool sunglasses|🤓 nerd|🧐 monocle|😕 confused|😟 worried|🙁 frown|😮 open_mouth wow|😲 astonished|😳 flushed|🥺 pleading|😦 frowning|😨 fearful|😰 cold_sweat|😥 disappointed_relieved|😢 cry sad|😭 sob crying|😱 scream|😖 confounded|😞 disappointed|😓 sweat|😩 weary|😫 tired|🥱 yawn|😤 triumph|😡 rage angry|😠 angry|🤬 cursing|😈 smiling_devil|💀 skull|💩 poop|🤡 clown|👻 ghost|👽 alien|🤖 robot bot|😺 smiling_cat|🙈 see_no_evil monkey|🙉 hear_no_evil|🙊 speak_no_evil
👍 thumbs_up +1 yes like|👎 thumbs_down -1 no|👌 ok_hand|🤌 pinched_fingers|✌️ victory peace|🤞 fingers_crossed luck|🤟 love_you|🤘 metal rock|🤙 call_me|👈 point_left|👉 point_right|👆 point_up|👇 point_down|☝️ index_up|✋ raised_hand stop|🖐️ hand|👋 wave hello bye|👏 clap bravo|🙌 raised_hands hooray|👐 open_hands|🤝 handshake deal|🙏 pray thanks please|✍️ writing|💪 muscle strong|👀 eyes look|🧠 brain|👶 baby|🧑 person|👩 woman|👨 man|🧓 older_person|🙋 raising_hand|🤦 facepalm|🤷 shrug|🙅 no_good|🙆 ok_person|💁 tipping_hand|🙇 bow sorry|🧑‍💻 technologist developer|👮 police|🕵️ detective|💃 dancer|🏃 running|🚶 walking|👥 people|👪 family|❤️ heart love|🧡 orange_heart|💛 yellow_heart|💚 green_heart|💙 blue_heart|💜 purple_heart|🖤 black_heart|🤍 white_heart|💔 broken_heart|💕 two_hearts|💖 sparkling_heart|💯 hundred 100|💢 anger|💥 boom collision|💫 dizzy_star|💦 drops|💤 zzz sleep|💬 speech|💭 thought
🐶 dog|🐱 cat|🐭 mouse|🐰 rabbit|🦊 fox|🐻 bear|🐼 panda|🐨 koala|🐯 tiger|🦁 lion|🐮 cow|🐷 pig|🐸 frog|🐵 monkey|🐔 chicken|🐧 penguin|🐦 bird|🦆 duck|🦉 owl|🐺 wolf|🐴 horse|🦄 unicorn|🐝 bee|🐛 bug|🦋 butterfly|🐌 snail|🐞 ladybug|🐢 turtle|🐍 snake|🐙 octopus|🦀 crab ferris rust|🐟 fish|🐬 dolphin|🐳 whale|🐘 elephant|🦔 hedgehog|🌵 cactus|🌲 evergreen tree|🌳 tree|🌴 palm|🌱 seedling|🌿 herb|🍀 clover luck|🍁 maple_leaf|🍂 leaves autumn|🌹 rose|🌻 sunflower|🌸 blossom|🌍 earth globe|🌙 moon|⭐ star|🌟 glowing_star|✨ sparkles|⚡ lightning zap|🔥 fire|🌈 rainbow|☀️ sun|⛅ cloudy|☁️ cloud|🌧️ rain|❄️ snowflake|⛄ snowman|🌊 ocean_wave
🍎 apple|🍌 banana|🍇 grapes|🍓 strawberry|🍒 cherries|🍑 peach|🍋 lemon|🥑 avocado|🍅 tomato|🥕 carrot|🌽 corn|🥔 potato|🍞 bread|🧀 cheese|🥚 egg|🥓 bacon|🍔 burger|🍟 fries|🍕 pizza|🌮 taco|🥗 salad|🍝 spaghetti|🍜 noodles|🍣 sushi|🍦 ice_cream|🍩 doughnut|🍪 cookie|🎂 birthday cake|🍰 cake|🍫 chocolate|🍿 popcorn|☕ coffee|🍵 tea|🍺 beer|🍻 cheers|🍷 wine|🥂 clinking_glasses|🍾 champagne|🥤 drink
⚽ soccer|🏀 basketball|🏈 football|🎾 tennis|🏓 ping_pong|🏆 trophy|🥇 gold_medal first|🥈 silver_medal|🥉 bronze_medal|🎯 target dart|🎮 game|🎲 die dice|🧩 puzzle|🎨 art palette|🎵 music note|🎸 guitar|🎬 clapper film|🎤 microphone|🎧 headphones|🚗 car|🚌 bus|🚲 bicycle|✈️ airplane|🚀 rocket ship|🚢 boat|🚂 train|🚧 construction wip|🏠 house home|🏢 office|🏖️ beach|⛰️ mountain|🗺️ map|⏰ alarm|⏳ hourglass wait|⌛ time_up|🎉 tada party celebrate|🎊 confetti|🎈 balloon|🎁 gift present|🎄 christmas_tree|🎃 pumpkin
💡 bulb idea|🔦 flashlight|📱 phone|💻 laptop computer|🖥️ desktop|⌨️ keyboard|🖨️ printer|💾 floppy save|📷 camera|📺 tv|🔋 battery|🔌 plug|🔍 search magnifier|🔒 lock|🔓 unlock|🔑 key|🔨 hammer|🔧 wrench fix|⚙️ gear settings|🧪 test_tube|🔬 microscope|💊 pill|🧹 broom clean|🛒 cart|💰 money|💳 card|✉️ envelope mail|📧 email|📦 package|📌 pin|📎 paperclip|✂️ scissors|📅 calendar date|📈 chart_up|📉 chart_down|📊 bar_chart|📋 clipboard|📝 memo note|📚 books|📖 book|🔗 link|🗑️ trash|🏷️ label tag|🔔 bell|🔕 no_bell mute|📢 loudspeaker
✅ check done yes|☑️ ballot_check|✔️ check_mark|❌ cross no x|❎ cross_button|➕ plus|➖ minus|❓ question|❗ exclamation|‼️ double_exclamation|⚠️ warning|🚫 prohibited|⛔ no_entry|🆗 ok|🆕 new|🆘 sos|ℹ️ info|🔴 red|🟠 orange|🟡 yellow|🟢 green|🔵 blue|🟣 purple|⚫ black|⚪ white|🔺 triangle_up|🔻 triangle_down|⬆️ up_arrow|⬇️ down_arrow|➡️ right_arrow|⬅️ left_arrow|🔄 arrows refresh|🔁 repeat|▶️ play|⏸️ pause|⏹️ stop_button|♻️ recycle|♾️ infinity|🏁 finish_flag|🚩 flag|🏳️‍🌈 rainbow_flag
`;

/** @typedef {{ emoji: string, name: string, words: string[] }} Emoji */

/** @type {Emoji[][] | null} */
let parsed = null;

/** @returns {Emoji[][]} by group */
export function emojiGroups() {
  parsed ??= DATA.trim().split("\n").map((line) =>
    line.split("|").map((entry) => {
      const [emoji, ...words] = entry.split(" ");
      return { emoji, name: words[0], words };
    }),
  );
  return parsed;
}

/** A name between two colons; and code, in which it is none. */
const NAMED = /(`+)[^]*?\1|(?<=^|\s):([a-z0-9_+-]{2,40}):(?![\w:])/g;

/**
 * A text with emoji in the place of their names.
 * @param {string} text
 */
export function withEmoji(text) {
  const all = emojiGroups().flat();
  const named = (/** @type {string} */ name) => all.find((one) => one.name === name) ?? all.find((one) => one.words.includes(name));
  return text.replace(NAMED, (whole, _, name) => named(name)?.emoji ?? whole);
}

/**
 * Those with a word that begins as typed, the best first.
 * @param {string} typed
 * @param {number} limit
 */
export function findEmoji(typed, limit) {
  const wanted = typed.toLowerCase().replace(/[\s-]+/g, "_");
  const rank = (/** @type {Emoji} */ { name, words }) =>
    name === wanted ? 0 : name.startsWith(wanted) ? 1 : words.some((word) => word.startsWith(wanted)) ? 2 : words.some((word) => word.includes(wanted)) ? 3 : 9;
  const found = emojiGroups().flat().map((one) => ({ one, rank: rank(one) })).filter((one) => one.rank < 9);
  return found.sort((a, b) => a.rank - b.rank).slice(0, limit).map(({ one }) => one);
}

/**
 * A name as one reads it.
 * @param {string} name
 */
export const spoken = (name) => name.replaceAll("_", " ");
