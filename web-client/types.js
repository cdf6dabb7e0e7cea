/**
 * The shapes that travel: one `@typedef` for each frame and each thing the page keeps.
 * Frames are checked once, in `frames.js`; behind it everyone trusts these types.
 *
 * @typedef {{ name: string, display: string, role: "admin" | "member", deleted: boolean, online?: boolean, disabled?: boolean, bot?: boolean, bare?: boolean }} User  `bare`: nothing but the name is known
 *
 * @typedef {"public" | "private" | "direct"} RoomKind
 *
 * @typedef {object} Room  a room as the server describes it
 * @property {number} room
 * @property {string} name  empty for a direct conversation
 * @property {RoomKind} kind
 * @property {string} topic
 * @property {string[]} users  of a direct conversation: all, oneself included
 * @property {boolean} member
 * @property {number} last_seq
 * @property {number} at
 * @property {number} [read_seq]
 * @property {number} [unread]
 * @property {number} [mentions]
 * @property {boolean} [muted]
 *
 * @typedef {{ file: string, name: string, bytes: number, type: string, local?: string }} Attachment  `local`: our own id while it waits
 * @typedef {{ id: string, name: string, bytes: number, type: string }} Local  a file that waits to be sent with a message
 *
 * @typedef {object} Message
 * @property {number} at
 * @property {number} room
 * @property {number} seq
 * @property {string} id  the sender's own id of the send
 * @property {string} from
 * @property {string} text
 * @property {number} time  Unix milliseconds
 * @property {number} version
 * @property {boolean} edited
 * @property {boolean} deleted
 * @property {number | null} reply_to
 * @property {Record<string, string[]>} reactions
 * @property {Attachment[]} files
 *
 * @typedef {{ version: number, text: string, time: number }} Version  a message as it was once
 *
 * @typedef {{ code: string, message: string, retry: boolean, retry_after_ms?: number, current?: Message }} Problem
 *
 * @typedef {{ re: string, ok: true } & Record<string, any>} Success
 * @typedef {{ re: string, ok: false, error: Problem }} Failure
 * @typedef {Success | Failure} Reply
 *
 * @typedef {{ name: string, public: string, up: boolean, role?: string }} NodeState
 * @typedef {{ leader: string | null, quorum: boolean, nodes: NodeState[] }} Cluster
 * @typedef {{ message_bytes: number, frame_bytes: number, file_bytes: number }} Limits
 *
 * @typedef {object} Welcome  what `hello`, `login` and `register` answer
 * @property {User} user
 * @property {string} node
 * @property {number} cursor
 * @property {string} epoch
 * @property {boolean} resumed
 * @property {boolean} behind
 * @property {Room[]} rooms
 * @property {Cluster | null} cluster  null when the node did not say
 * @property {string[]} nodes
 * @property {Limits} limits
 * @property {number} heartbeat_ms
 * @property {string} [token]  of `login` and `register`
 *
 * @typedef {{ ev: "message" } & Message} MessageEvent_
 * @typedef {{ ev: "room" } & Room} RoomEvent
 * @typedef {{ ev: "member", at: number, room: number, user: string, member: boolean }} MemberEvent
 * @typedef {{ ev: "user", at: number } & User} UserEvent
 * @typedef {{ ev: "read", at: number, room: number, user: string, seq: number }} ReadEvent
 * @typedef {{ ev: "mute", at: number, room: number, muted: boolean }} MuteEvent
 * @typedef {{ ev: "cursor", at: number }} CursorEvent
 * @typedef {{ ev: "typing", room: number, user: string }} TypingEvent
 * @typedef {{ ev: "presence", user: string, online: boolean }} PresenceEvent
 * @typedef {{ ev: "cluster" } & Cluster} ClusterEvent
 * @typedef {{ ev: "bye", reason: string, nodes: string[] }} ByeEvent
 * @typedef {MessageEvent_ | RoomEvent | MemberEvent | UserEvent | ReadEvent | MuteEvent | CursorEvent | TypingEvent | PresenceEvent | ClusterEvent | ByeEvent} ServerEvent
 *
 * @typedef {object} Item  one change that waits in the outbox
 * @property {string} id  the request's own id, the same on every try
 * @property {string} user  whose it is
 * @property {number} room
 * @property {"send" | "edit" | "delete" | "react"} op
 * @property {Record<string, any>} fields
 * @property {number} time  when it was written
 * @property {string} tab  the tab that sends it
 * @property {"waiting" | "failed"} state
 * @property {Problem} [problem]  why it failed
 *
 * @typedef {object} RoomState  a room as the page holds it
 * @property {number} room
 * @property {string} name
 * @property {RoomKind} kind
 * @property {string} topic
 * @property {string[]} users
 * @property {number} at
 * @property {number} last_seq
 * @property {number} read_seq
 * @property {number} unread
 * @property {number} mentions  unread ones that name the reader
 * @property {boolean} muted  its unread messages are not counted anywhere but in its own entry
 * @property {Map<number, Message>} messages  by seq
 * @property {number | null} anchor  one of the messages that are shown; null when they end with the newest
 * @property {Map<number, Message>} quoted  messages that others answer, and that are not among those held
 * @property {boolean} loaded  whether a page of its history has come
 * @property {boolean} stale  whether what is held is of an earlier visit
 * @property {number | null} new_from  where the line "New" stands while the room is open
 */
export {};
