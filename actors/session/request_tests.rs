use super::*;

fn wrong(op: &str, fields: &str) -> String {
    match frame(&format!(r#"{{"id":"1","op":"{op}"{fields}}}"#), true, 64) {
        Frame::Wrong { refusal, .. } => format!("{}: {}", refusal.code.row().0, refusal.message),
        other => panic!("{op}{fields}: {other:?}"),
    }
}

fn good(op: &str, fields: &str) -> Op {
    match frame(&format!(r#"{{"id":"1","op":"{op}"{fields}}}"#), true, 64) {
        Frame::Request { op, .. } => op,
        other => panic!("{op}{fields}: {other:?}"),
    }
}

#[test]
fn what_is_no_request() {
    for text in [
        "",
        "x",
        "[]",
        "1",
        "null",
        r#""a""#,
        r#"["1","ping"]"#,
        r#"{"op":"ping"}"#,
        r#"{"id":1,"op":"ping"}"#,
        r#"{"id":"","op":"ping"}"#,
        r#"{"id":"é","op":"ping"}"#,
        r#"{"id":"a\nb","op":"ping"}"#,
        r#"{"id":"1","op":"ping"} x"#,
        r#"{"id":"1","op":"ping""#,
    ] {
        assert!(matches!(frame(text, true, 64), Frame::Junk(_)), "{text}");
    }
    let long = format!(r#"{{"id":"{}","op":"ping"}}"#, "x".repeat(65));
    assert!(matches!(frame(&long, true, 64), Frame::Junk(_)));
}

#[test]
fn before_hello_only_three_ops() {
    for (op, code) in [("ping", "unauthorized"), ("dance", "unauthorized"), ("hello", "bad_request")] {
        match frame(&format!(r#"{{"id":"7","op":"{op}"}}"#), false, 64) {
            Frame::Wrong { id, refusal } => {
                assert_eq!((id.as_str(), refusal.code.row().0), ("7", code), "{op}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let rows = [
        ("dance", "", "bad_request: unknown op: dance"),
        ("send", "", "bad_request: room is missing: it must be a whole number from 0"),
        (
            "send",
            r#","room":null,"text":"a""#,
            "bad_request: room is missing: it must be a whole number from 0",
        ),
        ("send", r#","room":"1","text":"a""#, "bad_request: room must be a whole number from 0"),
        ("send", r#","room":-1,"text":"a""#, "bad_request: room must be a whole number from 0"),
        ("send", r#","room":1.5,"text":"a""#, "bad_request: room must be a whole number from 0"),
        ("send", r#","room":0,"text":"a""#, "bad_request: room must be a positive integer below 2^53"),
        ("send", r#","room":1,"text":5"#, "bad_request: text must be a string"),
        ("send", r#","room":1,"text":" \n""#, "bad_request: text must not be empty or only white space"),
        ("send", r#","room":1,"text":"a\u0000""#, "bad_request: text must not contain a NUL character"),
        (
            "send",
            r#","room":1,"text":"a","reply_to":"b""#,
            "bad_request: reply_to must be a whole number from 0",
        ),
        ("send", r#","room":1,"room":1,"text":"a""#, "bad_request: duplicate field `room`"),
        ("create_room", r#","name":"a","kind":"direct""#, "bad_request: kind must be public or private"),
        ("create_room", r#","name":"a""#, "bad_request: kind is missing: it must be a string"),
        ("react", r#","room":1,"seq":1,"emoji":"x","on":1"#, "bad_request: on must be true or false"),
        ("delete", r#","room":1,"seqs":[]"#, "bad_request: seqs must be a list of 1 to 100 numbers"),
        ("delete", r#","room":1,"seqs":["1"]"#, "bad_request: seqs must be a list of whole numbers"),
        ("history", r#","room":1,"before":2,"after":1"#, "bad_request: before and after exclude each other"),
        ("history", r#","room":1,"read":"fast""#, "bad_request: read must be linearizable or local"),
        ("history", r#","room":1,"limit":"5""#, "bad_request: limit must be a whole number"),
        ("search", "", "bad_request: text is missing: it must be a string"),
        ("search", r#","text":" \n\u3000""#, "bad_request: text must hold something to look for"),
        ("search", r#","text":"a","room":"1""#, "bad_request: room must be a whole number from 0"),
        ("search", r#","text":"a","before":-1"#, "bad_request: before must be a whole number from 0"),
        (
            "search",
            r#","text":"a","before_time":"1""#,
            "bad_request: before_time must be a whole number from 0",
        ),
        ("search", r#","text":"a","from":"no one""#, "not_found: no such user: no one"),
        ("mute", r#","room":1"#, "bad_request: on is missing: it must be true or false"),
        ("versions", r#","room":1"#, "bad_request: seq is missing: it must be a whole number from 0"),
        ("open_direct", r#","users":"bob""#, "bad_request: users must be a list of strings"),
        ("invite", r#","room":1,"user":"no one""#, "not_found: no such user: no one"),
        (
            "register",
            r#","name":"a b","password":"12345678""#,
            "bad_request: name must be 1 to 32 characters of a-z 0-9 . _ -",
        ),
        (
            "register",
            r#","name":"ann","password":"1234567""#,
            "bad_request: password must be 8 to 256 bytes long",
        ),
        (
            "change_password",
            r#","old":"x","new":"short""#,
            "bad_request: new password must be 8 to 256 bytes long",
        ),
    ];
    for (op, fields, message) in rows {
        assert_eq!(wrong(op, fields), message, "{op}{fields}");
    }
    let long = format!(r#","room":1,"text":"{}""#, "x".repeat(65));
    assert!(wrong("send", &long).starts_with("too_large: text is 65 bytes"));
}

#[test]
fn what_is_good() {
    assert_eq!(
        good("send", r#","room":3,"text":"hi","reply_to":null,"users":7,"files":[]"#),
        Op::Change(Change::Send { room: RoomId(3), text: "hi".to_owned(), reply_to: None })
    );
    assert_eq!(
        good("history", r#","room":3,"limit":-5,"after":0,"read":"local""#),
        Op::History { room: RoomId(3), page: PageOf::After(Seq(0)), limit: 1, local: true }
    );
    let wanted = Wanted {
        query: Query::read("two wor*"),
        room: Some(RoomId(3)),
        from: Some("ann".to_owned()),
        before: Some(At(9)),
        before_time: Some(8),
        limit: 100,
    };
    let fields = r#","text":"two wor*","room":3,"from":"Ann","before":9,"before_time":8,"limit":101"#;
    assert_eq!(good("search", fields), Op::Search(wanted));
    assert_eq!(
        good("mute", r#","room":3,"on":false"#),
        Op::Change(Change::Mute { room: RoomId(3), on: false })
    );
    assert_eq!(good("versions", r#","room":3,"seq":7"#), Op::Versions { room: RoomId(3), seq: Seq(7) });
    assert_eq!(
        good("login", r#","name":"Ann","password":"x","cursor":5,"epoch":"e""#),
        Op::Login {
            name: "ann".to_owned(),
            password: "x".to_owned(),
            resume: Resume { cursor: Some(At(5)), epoch: Some("e".to_owned()) },
        }
    );
    assert_eq!(
        good("register", r#","name":"Ann","password":"12345678""#),
        Op::Register {
            name: "ann".to_owned(),
            password: "12345678".to_owned(),
            display: "Ann".to_owned(),
            invite: None,
        }
    );
    assert_eq!(good("ping", r#","extra":{"deep":[1]}"#), Op::Ping);
    assert_eq!(good("list_users", ""), Op::ListUsers { pattern: None, after: None, limit: rules::PAGE_MAX });
}

#[test]
fn escapes_in_id_and_op_are_read() {
    match frame(r#"{"op":"p\u0069ng","id":"\u0061"}"#, true, 64) {
        Frame::Request { id, op } => assert_eq!((id.as_str(), op), ("a", Op::Ping)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_op_of_the_list_is_known() {
    for op in OPS {
        if let Err(refusal) = fields_of(op, "{}", 64) {
            assert!(!refusal.message.starts_with("unknown op"), "{op}");
        }
    }
}
