/** Every word that a person reads, in one place. */

/**
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/** @typedef {import("./types.js").Problem} Problem */

export const words = {
  product: "replicated-chat",
  title: (/** @type {string} */ place, /** @type {number} */ unread) => `${unread > 0 ? `(${unread}) ` : ""}${place ? `${place} – ` : ""}replicated-chat`,

  status: {
    connecting: "Connecting…",
    connected: (/** @type {string} */ node) => `Connected to ${node}`,
    reconnecting: "Reconnecting…",
    noMajority: (/** @type {number} */ waiting) => `No majority: reading only; ${plural(waiting, "message", "messages")} waiting`,
    stopped: "Disconnected",
  },
  notice: {
    noMajority: "No majority of the servers answers. You can read; what you write is sent when they are back.",
    lost: "No server answers at the moment. What you write is kept here and sent when one is back.",
    stopped: "The server ended the connection and asked this page not to come back by itself.",
    connect: "Connect again",
  },

  login: {
    heading: "Welcome",
    intro: "Log in, or create an account with a name and a password of your own.",
    name: "Name",
    nameHint: "Up to 32 of a–z, 0–9, dot, hyphen and underscore",
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
    label: "Rooms",
    show: "Rooms",
    close: "Close the list",
    rooms: "Rooms",
    direct: "Direct messages",
    joinable: "Open to join",
    joinNote: "A public room; opening it joins it",
    people: "People",
    newRoom: "New room",
    newDirect: "New direct message",
    search: "Search",
    searchHint: "Messages, rooms, people",
    find: (/** @type {string} */ typed) => `Search messages for “${typed}”`,
    settings: "Settings",
    nothing: "No room and nobody has a name like that.",
    none: "None yet",
    logOut: "Log out",
    unread: (/** @type {number} */ count) => `${count} unread`,
    failed: (/** @type {number} */ count) => `${count} not sent`,
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
    goneText: "It may have been private, or you have left it.",
    failed: "The messages could not be loaded.",
  },

  room: {
    public: "Public room",
    private: "Private room",
    direct: "Direct messages",
    people: "People",
    log: (/** @type {string} */ room) => `Conversation in ${room}`,
    beginning: "The beginning",
    fresh: "New",
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
    today: "Today",
    yesterday: "Yesterday",
    arrived: (/** @type {number} */ count) => `${plural(count, "message", "messages")} arrived`,
  },

  message: {
    sending: "sending",
    failed: "Not sent",
    failedChange: "Not changed",
    edited: "edited",
    deleted: "deleted",
    again: "Try again",
    copy: "Copy",
    copied: "Copied",
    discard: "Delete",
    react: "React",
    reply: "Reply",
    edit: "Edit",
    remove: "Delete",
    more: "More",
    copyText: "Copy text",
    actions: "What can be done with it",
    replyTo: (/** @type {string} */ name) => `In reply to ${name}`,
    earlier: "an earlier message",
    reaction: (/** @type {string} */ emoji, /** @type {string[]} */ names) => `${emoji} ${names.length}: ${names.join(", ")}`,
    me: "you",
    editBox: "New wording",
    save: "Save",
    cancel: "Cancel",
    editHint: "Enter saves, Escape cancels",
    pick: "Choose an emoji",
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
    tooMany: (/** @type {number} */ most) => `A message holds at most ${most} files.`,
    tooBig: (/** @type {string} */ name, /** @type {string} */ most) => `${name} is too large: at most ${most} for a file.`,
  },
  search: {
    heading: "Search results",
    close: "Close the results",
    more: "Look further",
    count: (/** @type {number} */ count, /** @type {boolean} */ more) => (count === 0 ? (more ? "Nothing so far." : "Nothing found.") : more ? `The newest ${count}` : plural(count, "message", "messages")),
    partial: "The index is being built, so some may be missing.",
    noWord: "Enter a word to look for.",
    noRoom: "You are in no room of that name.",
    notThere: "This server cannot search messages yet.",
    tips: "Narrow it down: from:name, in:room, before:2026-03-31. A “phrase” in quotes; the beginning of a word with *.",
  },
  switcher: {
    heading: "Go to",
    label: "Room or person",
    hint: "Arrows choose, Enter opens.",
    none: "No room and nobody has a name like that.",
    join: "join",
  },
  settings: {
    heading: "Settings",
    close: "Close the settings",
    tabs: { account: "Account", preferences: "This device", sessions: "Sessions", people: "People", rooms: "All rooms", registration: "Registration", cluster: "Cluster" },
  },
  account: {
    profile: "Your name",
    display: "Display name",
    displayHint: (/** @type {string} */ name) => `What others see. You log in as ${name} all the same.`,
    save: "Save",
    saved: "Saved.",
    password: "Password",
    passwordNote: "Changing it ends your other sessions.",
    oldPassword: "Current password",
    newPassword: "New password",
    changePassword: "Change password",
    passwordChanged: "Changed. Your other sessions have ended.",
    wrongPassword: "That is not your current password.",
    end: "Delete this account",
    endText: "You are logged out everywhere, for good. What you wrote stays, shown as from a deleted account, and your name is never given to anybody again. Nobody can undo this.",
    proof: "Your password, to be sure",
    endAction: "Delete my account for good",
  },
  sessions: {
    heading: "Where you are logged in",
    note: "End any that you do not know, and change your password.",
    unknown: "An unknown program",
    since: (/** @type {string} */ time) => `since ${time}`,
    current: "this one",
    end: "End",
    ended: "That session has ended.",
  },
  links: {
    copy: "Copy link",
    until: (/** @type {string} */ time) => `It is shown only now. Good until ${time}.`,
  },
  admin: {
    findPerson: "Find by name",
    findRoom: "Find by name",
    more: "Show more",
    done: "Done.",
    bot: "bot",
    disabled: "disabled",
    makeAdmin: "Make admin",
    makeMember: "No longer admin",
    adminHeading: (/** @type {string} */ name) => `Make ${name} an admin?`,
    adminText: "Admins can disable accounts, reset passwords, delete anybody's messages and make other admins.",
    disable: "Disable",
    enable: "Enable",
    disableHeading: (/** @type {string} */ name) => `Disable ${name}?`,
    disableText: "They are logged out everywhere at once and cannot come back until somebody enables them again.",
    reset: "Reset password",
    resetLink: (/** @type {string} */ name) => `A link for ${name} to set a new password, once`,
    rename: "Change",
    renameHeading: (/** @type {string} */ room) => `Change ${room}`,
    narrow: (/** @type {number} */ shown, /** @type {number} */ all) => `The first ${shown} of ${all}. Type a part of a name to see others.`,
  },
  registration: {
    mode: "Who may create an account",
    open: "Anybody",
    openNote: "Whoever reaches this page",
    closed: "Only who is invited",
    closedNote: "With a link from below, or one made by the operator",
    invites: "Invitations",
    invitesNote: "Whoever has such a link can create an account, also when registration is closed.",
    uses: "For how many people",
    hours: "Good for how many hours",
    between: (/** @type {number} */ least, /** @type {number} */ most) => `Enter a whole number from ${least} to ${most}.`,
    create: "Create invitation",
    link: "Invitation link",
    by: (/** @type {string} */ name) => `by ${name}`,
    count: (/** @type {number} */ used, /** @type {number} */ uses) => `used ${used} of ${uses}`,
    until: (/** @type {string} */ time) => `good until ${time}`,
    used: "used up",
    ended: "ended",
    revoked: "revoked",
    revoke: "Revoke",
  },
  cluster: {
    nodes: "Nodes",
    node: "Node",
    role: "Role",
    lag: "Behind",
    ms: "Round trip",
    disk: "Free disk",
    version: "Version",
    roles: { leader: "leader", follower: "follower", learner: "learner" },
    down: "does not answer",
    low: "nearly full",
    itself: "itself",
    entries: (/** @type {string} */ count) => `${count} entries`,
    milliseconds: (/** @type {string} */ count) => `${count} ms`,
    micros: (/** @type {string} */ count) => `${count} µs`,
    summary: (/** @type {string} */ node, /** @type {string | null} */ leader, /** @type {boolean} */ quorum, /** @type {number} */ term, /** @type {number} */ at) =>
      `${node} says: ${quorum ? "a majority is there" : "no majority answers"}, ${leader ? `${leader} leads` : "nobody is known to lead"} (term ${term}), ${at} changes so far.`,
    actors: "Actors",
    of: "of",
    actorsNote: "What waits in each mailbox, what is handled in a second, and how long one message takes; each line is the last minute and a half.",
    actor: "Actor",
    waiting: "Waiting",
    rate: "A second",
    time: "Each takes",
    noAnswer: "The node does not answer. What is shown is what it said last.",
    noMetrics: "That node does not tell its figures at the moment.",
  },
  complete: { people: "People to mention", emoji: "Emoji" },
  emoji: { label: "Emoji", find: "Find an emoji", none: "None has a name like that.", more: "More emoji…" },
  files: {
    list: "Files",
    download: (/** @type {string} */ name) => `Download ${name}`,
    open: (/** @type {string} */ name) => `Open ${name}`,
    show: (/** @type {string} */ name) => `Show ${name}`,
    play: (/** @type {string} */ name) => `Play ${name}`,
    uploading: (/** @type {number} */ percent) => `${percent}% uploaded`,
    waiting: "waiting",
    ready: "ready",
    failed: "not uploaded",
    gone: "This file is no longer here. Choose it again.",
    unreachable: "No server that has this file answers. Try again in a moment.",
  },

  newRoom: {
    heading: "New room",
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
    heading: "New direct message",
    name: "Name",
    hint: "One person, or up to 8 with commas between them",
    start: "Start",
    missing: "Enter the name of a person.",
    unknown: "Nobody here has that name. Names are as people log in with them.",
  },
  people: {
    heading: "People",
    close: "Close",
    invite: "Invite",
    inviteName: "Who to invite",
    inviteMissing: "Enter the name of the person to invite.",
    remove: "Remove",
    removeOf: (/** @type {string} */ name) => `Remove ${name}`,
    leave: "Leave this room",
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
    deleteNo: "Keep",
    leaveHeading: (/** @type {string} */ room) => `Leave ${room}?`,
    leavePublic: "You can join it again at any time.",
    leavePrivate: "You can come back only when somebody invites you.",
    leaveYes: "Leave",
    leaveNo: "Stay",
    removeHeading: (/** @type {string} */ name, /** @type {string} */ room) => `Remove ${name} from ${room}?`,
    removeText: "They no longer see this room, unless they are invited again.",
    removeYes: "Remove",
    removeNo: "Keep",
    cancel: "Cancel",
  },

  stray: {
    entry: (/** @type {number} */ count) => `${count} not sent`,
    heading: "Not sent",
    text: "These were written for rooms that you are no longer in. Copy what you want to keep.",
    close: "Close",
  },
};

/**
 * What happened and what to do, for a problem that the server named.
 * @param {Problem} problem
 */
export function problemWords(problem) {
  switch (problem.code) {
    case "unavailable":
      return "No majority of the servers answers right now. Try again in a moment.";
    case "timeout":
      return "No answer came in time. Try again: nothing is done twice.";
    case "rate_limited":
      return "That was too fast for the server. Wait a moment, then try again.";
    case "forbidden":
      return "You are not allowed to do this here.";
    case "not_found":
      return "It is not there any more, or not for you.";
    case "too_large":
      return "It is too large for the server.";
    case "unauthorized":
      return "You are no longer logged in.";
    case "conflict":
      return problem.message ? `It has changed meanwhile: ${problem.message}.` : "It has changed meanwhile.";
    case "bad_request":
      return problem.message ? `The server did not take it: ${problem.message}.` : "The server did not take it.";
    default:
      return "Something went wrong on the server. Try again.";
  }
}
