/**
 * Every word that a person reads, in one place, in English. Other languages have the same in a module of their own, which
 * is put in the place of these before anything is shown.
 */

import { amount, language, plural } from "./language.js";

/** @typedef {import("./types.js").Problem} Problem */

export const words = {
  product: "replicated-chat",

  status: {
    connecting: "Connecting…",
    connected: (/** @type {string} */ node) => `Connected to ${node}`,
    reconnecting: "Reconnecting…",
    noMajority: (/** @type {number} */ waiting) => `No majority: reading only; ${plural(waiting, "message", "messages")} waiting`,
    stopped: "Disconnected",
    someNode: "the server",
  },
  notice: {
    label: "Connection",
    noMajority: "No majority of the servers answers. You can read; what you write is sent when they are back.",
    lost: "No server answers at the moment. What you write is kept here and sent when one is back.",
    stopped: "The server ended the connection and asked this page not to come back by itself.",
    connect: "Connect again",
  },

  login: {
    heading: "Welcome",
    intro: "Log in, or create an account with a name and a password of your own.",
    name: "Name",
    password: "Password",
    passwordHint: "At least 8 characters",
    logIn: "Log in",
    create: "Create account",
    nameMissing: "Enter a name.",
    nameWrong: "A name has 1 to 32 characters: a–z, 0–9, dot, hyphen and underscore.",
    passwordMissing: "Enter a password.",
    passwordShort: "A password has at least 8 characters.",
    passwordLong: "This password is too long: 256 bytes at most.",
    wrong: "No account has this name and password. Look for a typing error, or create an account.",
    taken: "This name is taken. Choose another one, or log in if it is yours.",
    closed: "New accounts are made by the operator here. Ask for an invitation.",
    unavailable: "No majority of the servers answers, so nobody can log in right now. Try again in a moment.",
    ended: "You were logged out. What you wrote is kept here and is sent when you log in again.",
    disabled: "This account is disabled. Ask an admin.",
    newPassword: "New password",
    setPassword: "Set password and log in",
    withoutLink: "Without this link",
    intros: {
      create: "This link creates an account, as the operator named it. Choose its password.",
      invite: "You are invited. Choose a name and a password of your own.",
      reset: "Choose a new password for your account. You are logged out everywhere else.",
    },
    linkName: (/** @type {string} */ name) => `This link creates the account ${name} and no other. Enter that name.`,
    link: {
      revoked: "This link was revoked. Ask for another.",
      used: "This link was used already. Ask for another.",
      expired: "This link has expired. Ask for another.",
      wrong: "This link is none of this chat's. See that it is whole, or ask for another.",
    },
  },

  nav: {
    close: "Close the list",
    rooms: "Rooms",
    joinable: "Open to join",
    joinNote: "A public room; opening it joins it",
    newRoom: "New room",
    newDirect: "New direct message",
    search: "Search",
    searchHint: "Messages, rooms, people",
    find: (/** @type {string} */ typed) => `Search messages for “${typed}”`,
    settings: "Settings",
    nothing: "No room and nobody has a name like that.",
    none: "None yet",
    logOut: "Log out",
    unread: (/** @type {number} */ count) => `${amount(count)} unread`,
    mentions: (/** @type {number} */ count) => plural(count, "mention", "mentions"),
    muted: "muted",
    failed: (/** @type {number} */ count) => `${amount(count)} not sent`,
    skip: "Go to the conversation",
    online: "online",
    offline: "offline",
  },

  empty: {
    noRooms: "No rooms yet",
    noRoomsText: "Make one and invite the others, or open one from the list to join it.",
    first: "Make your first one",
    choose: "Nothing open",
    chooseText: "Choose a room or a person from the list.",
    room: "Nothing here yet",
    roomText: (/** @type {string} */ room) => `This is the beginning of ${room}. Write the first message.`,
    directText: (/** @type {string} */ person) => `Nothing written yet between you and ${person}.`,
    loading: "Loading…",
    gone: "This room is not there for you",
    joinText: "A public room that you are not in yet.",
    join: "Join this room",
    goneText: "You may have left it or been removed, or it is private.",
    unsent: "What you had not sent",
    failed: "The messages could not be loaded.",
    away: "No server answers, and nothing of this room is kept here. It comes when one is back.",
  },

  kinds: { public: "Public room", private: "Private room", direct: "Direct messages" },
  days: { today: "Today", yesterday: "Yesterday" },
  room: {
    people: "People",
    log: (/** @type {string} */ room) => `Conversation in ${room}`,
    beginning: "The beginning",
    mute: "Mute this room",
    muted: "Muted. Its new messages are not counted.",
    unmuted: "No longer muted.",
    fresh: "New",
    gap: "More messages stand between",
    pill: (/** @type {number} */ count) => plural(count, "new message", "new messages"),
    toEnd: "To the end",
    typing: (/** @type {string[]} */ names) =>
      names.length === 0
        ? ""
        : names.length === 1
          ? `${names[0]} is typing…`
          : names.length === 2
            ? `${names[0]} and ${names[1]} are typing…`
            : "Several people are typing…",
    arrived: (/** @type {number} */ count) => `${plural(count, "message", "messages")} arrived`,
  },

  message: {
    sending: "sending",
    failed: "Not sent",
    failedChange: "Not changed",
    edited: "edited",
    deleted: "deleted",
    again: "Try again",
    editAgain: "Edit again",
    discard: "Discard",
    typed: "Your wording",
    copy: "Copy",
    copied: "Copied",
    copyHere: "Copy it from here",
    react: "React",
    reply: "Reply",
    edit: "Edit",
    remove: "Delete",
    more: "More",
    copyText: "Copy text",
    copyLink: "Copy link",
    versions: "Earlier wordings",
    notThere: "That message is not here.",
    actions: "What can be done with it",
    replyTo: (/** @type {string} */ name) => `In reply to ${name}`,
    earlier: "an earlier message",
    editBox: "New wording",
    save: "Save",
    editHint: "Enter saves, Escape cancels",
    pick: "Choose an emoji",
  },

  versions: {
    heading: "Wordings of this message",
    current: "as it is now",
    count: (/** @type {number} */ count) => plural(count, "wording", "wordings"),
    none: "No earlier wording is kept.",
  },

  composer: {
    label: "Message",
    placeholder: (/** @type {string} */ room) => `Write to ${room}`,
    send: "Send",
    replying: (/** @type {string} */ name) => `Replying to ${name}`,
    cancelReply: "Do not reply",
    tooLong: (/** @type {number} */ bytes) => `Too long by ${plural(bytes, "byte", "bytes")}: shorten it, or send it in parts.`,
    left: (/** @type {number} */ bytes) => `${plural(bytes, "byte", "bytes")} left`,
    attach: "Attach files",
    emoji: "Insert emoji",
    drop: "Drop files here to attach them",
    attached: "Attached files",
    detach: (/** @type {string} */ name) => `Remove ${name}`,
    failed: (/** @type {string} */ name, /** @type {string} */ why) => `${name} was not uploaded. ${why}`,
    tooMany: (/** @type {number} */ most) => `A message holds at most ${most} files.`,
    tooBig: (/** @type {string} */ name, /** @type {string} */ most) => `${name} is too large: at most ${most} for a file.`,
  },
  search: {
    heading: "Search results",
    close: "Close the results",
    more: "Look further",
    count: (/** @type {number} */ count, /** @type {boolean} */ more) => (count === 0 ? "Nothing found." : more ? `The newest ${amount(count)}` : plural(count, "message", "messages")),
    partial: "The index is being built, so some may be missing.",
    noWord: "Enter a word to look for.",
    noRoom: "You are in no room of that name.",
    tips: "Narrow it down: from:name, in:room, before:2026-03-31. A “phrase” in quotes; the beginning of a word with *.",
  },
  switcher: {
    heading: "Go to",
    label: "Room or person",
    hint: "Arrows choose, Enter opens.",
    join: "join",
  },
  lazy: { heading: "Not here yet", text: "This part of the page could not be loaded, since no server answers. Try again in a moment." },
  complete: { people: "People to mention" },
  emoji: { label: "Emoji", find: "Find an emoji", none: "None has a name like that.", more: "More emoji…" },
  files: {
    list: "Files",
    download: (/** @type {string} */ name) => `Download ${name}`,
    open: (/** @type {string} */ name) => `Open ${name}`,
    show: (/** @type {string} */ name) => `Show ${name}`,
    play: (/** @type {string} */ name) => `Play ${name}`,
    uploading: (/** @type {number} */ percent) => `${amount(percent)}% uploaded`,
    waiting: "waiting",
    ready: "ready",
    failed: "not uploaded",
    gone: "A file of it is no longer here, or the room is not. Copy the text and choose the file again.",
    unreachable: "No server that has this file answers. Try again in a moment.",
  },

  newRoom: {
    name: "Room name",
    topic: "Topic (optional)",
    kind: "Who can come in",
    public: "Public",
    publicNote: "Everyone here can find and join it",
    private: "Private",
    privateNote: "Only who is invited",
    create: "Create",
    missing: "Enter a name for the room.",
    long: "A room's name has at most 64 characters.",
    taken: "A room of this name is there already. Choose another name.",
  },
  newDirect: {
    hint: "One person, or up to 8 with commas between them",
    start: "Start",
    missing: "Enter the name of a person.",
    unknown: "Nobody here has that name. Names are as people log in with them.",
  },
  people: {
    invite: "Invite",
    more: "Show more",
    inviteName: "Who to invite",
    inviteMissing: "Enter the name of the person to invite.",
    remove: "Remove",
    leave: "Leave this room",
    change: "Change name and topic",
    programs: "Programs",
    changeHeading: (/** @type {string} */ room) => `Change ${room}`,
    admin: "admin",
    you: "you",
    deleted: "deleted account",
    count: (/** @type {number} */ count) => plural(count, "person", "people"),
    failed: "The list could not be loaded.",
  },
  ask: {
    deleteHeading: "Delete this message?",
    deleteText: "Its text disappears for everyone and cannot be brought back.",
    deleteYes: "Delete message",
    leaveHeading: (/** @type {string} */ room) => `Leave ${room}?`,
    leavePublic: "You can join it again at any time.",
    leavePrivate: "You can come back only when somebody invites you.",
    leaveYes: "Leave",
    leaveNo: "Stay",
    removeHeading: (/** @type {string} */ name, /** @type {string} */ room) => `Remove ${name} from ${room}?`,
    removeText: "They no longer see this room, unless they are invited again.",
    cancel: "Cancel",
    close: "Close",
    keep: "Keep",
  },

  stray: {
    text: "These were written for rooms that you are no longer in. Copy what you want to keep.",
  },

  problem: {
    full: "The servers' disks have no room for more. Whoever runs this chat must make some; what you wrote is kept here.",
    unavailable: "No majority of the servers answers right now. Try again in a moment.",
    timeout: "No answer came in time. Try again: nothing is done twice.",
    rate_limited: "That was too fast for the server. Wait a moment, then try again.",
    forbidden: "You are not allowed to do this here.",
    not_found: "It is not there any more, or not for you.",
    too_large: "It is too large for the server.",
    unauthorized: "You are no longer logged in.",
    conflict: "It has changed meanwhile.",
    bad_request: (/** @type {string} */ why) => (why ? `The server did not take it: ${why}.` : "The server did not take it."),
    other: "Something went wrong on the server. Try again.",
  },
};

/** Before anything is shown: the words of the reader's language. */
export async function speak() {
  document.documentElement.lang = language;
  if (language === "en") return;
  try {
    Object.assign(words, (await import("./words.de.js")).words);
  } catch {
    // English, then.
    document.documentElement.lang = "en";
  }
}

/**
 * What happened and what to do, for a problem that the server named.
 * @param {Problem} problem
 */
export function problemWords(problem) {
  const { bad_request, ...said } = words.problem;
  if (problem.code === "unavailable" && /\bdisk|\bfull\b|files_total/.test(problem.message)) return said.full;
  if (problem.code === "bad_request") return bad_request(problem.message);
  return /** @type {Record<string, string>} */ (said)[problem.code] ?? said.other;
}
