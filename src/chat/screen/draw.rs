//! The desk as a terminal shows it.
//!
//! Colours only stand beside words that say the same; with `NO_COLOR` there are none.

use chrono::{DateTime, Local};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::desk::{Desk, Mode};
use super::wrap::{cut, wrap};
use crate::chat::clean;
use crate::chat::commands::HELP;
use crate::chat::frames::Message;
use crate::chat::input::Input;
use crate::chat::script::clock;
use crate::chat::state::{Phase, Seen};

/// From here on rooms stand beside the conversation.
const WIDTH_WITH_ROOMS: u16 = 64;
const ROOMS_WIDTH: u16 = 24;
const INPUT_LINES_MAX: usize = 6;
/// Within so long one author's messages stand under one name.
const GROUP_MS: u64 = 5 * 60 * 1000;
const REPLY_WIDTH: usize = 60;

/// How things are marked.
#[derive(Clone, Copy)]
pub struct Look {
    pub has_colour: bool,
}

impl Look {
    fn coloured(self, style: Style, colour: Color) -> Style {
        if self.has_colour { style.fg(colour) } else { style }
    }

    fn name(self, is_own: bool) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        self.coloured(bold, if is_own { Color::Green } else { Color::Cyan })
    }

    fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn alert(self) -> Style {
        self.coloured(Style::new().add_modifier(Modifier::BOLD), Color::Yellow)
    }
}

/// Draws everything, and notes which messages are to be seen.
pub fn draw(frame: &mut Frame<'_>, desk: &mut Desk, look: Look) {
    let area = frame.area();
    if area.width < 12 || area.height < 4 {
        frame.render_widget(Paragraph::new("too small"), area);
        return;
    }
    let input = input_lines(desk, usize::from(area.width.saturating_sub(2)));
    let height = u16::try_from(input.len().min(INPUT_LINES_MAX)).unwrap_or(1).min(area.height / 3).max(1);
    let hint = u16::from(hint(desk).is_some() && area.height > 6);
    let [main, hint_area, input_area, status_area] = Layout::vertical([
        Constraint::Min(1),
        Constraint::Length(hint),
        Constraint::Length(height),
        Constraint::Length(1),
    ])
    .areas(area);
    let conversation = if area.width >= WIDTH_WITH_ROOMS {
        let [rooms, line, conversation] =
            Layout::horizontal([Constraint::Length(ROOMS_WIDTH), Constraint::Length(2), Constraint::Min(1)])
                .areas(main);
        draw_rooms(frame, rooms, desk, look);
        let bar: Vec<Line<'_>> = (0..line.height).map(|_| Line::styled("│", look.quiet())).collect();
        frame.render_widget(Paragraph::new(bar), line);
        conversation
    } else {
        main
    };
    draw_conversation(frame, conversation, desk, look);
    if let Some(text) = hint_text(desk, hint) {
        frame.render_widget(Line::styled(cut(&text, usize::from(area.width)), look.alert()), hint_area);
    }
    draw_input(frame, input_area, desk, &input);
    draw_status(frame, status_area, desk, look);
    match &desk.mode {
        Mode::Help => {
            draw_list(frame, main, "Help: any key goes back", &help(usize::from(main.width)), None, look);
        }
        Mode::Choosing => {
            let choices: Vec<String> =
                desk.choices().into_iter().map(|(_, title)| clean::line(&title)).collect();
            draw_list(frame, main, "Rooms: Enter opens the first", &choices, Some(0), look);
        }
        Mode::Results { found, place } => {
            let lines: Vec<String> = found.iter().map(|message| found_line(desk, message)).collect();
            draw_list(frame, main, "Found: Enter goes there, Esc back", &lines, Some(*place), look);
        }
        _ => {}
    }
}

/// How things stand, in words.
pub fn status(desk: &Desk) -> String {
    let waiting = desk.outbox.iter().filter(|item| item.refused.is_none()).count();
    let waiting = match waiting {
        1 => "1 message waiting".to_owned(),
        count => format!("{count} messages waiting"),
    };
    let is_waiting = desk.outbox.iter().any(|item| item.refused.is_none());
    match &desk.state.phase {
        Phase::Connecting => "Connecting…".into(),
        Phase::Lost if is_waiting => format!("Reconnecting… {waiting}"),
        Phase::Lost => "Reconnecting…".into(),
        Phase::Connected { .. } if !desk.state.quorum => format!("No majority: reading only; {waiting}"),
        Phase::Connected { node } => format!("Connected to {node}"),
    }
}

/// Who is writing here, to be added to that.
fn writing(desk: &Desk) -> String {
    match &desk.writers[..] {
        _ if !matches!(desk.state.phase, Phase::Connected { .. }) => String::new(),
        [] => String::new(),
        [one] => format!(" · {one} is writing"),
        [one, other] => format!(" · {one} and {other} are writing"),
        more => format!(" · {} people are writing", more.len()),
    }
}

fn draw_status(frame: &mut Frame<'_>, area: Rect, desk: &Desk, look: Look) {
    let width = usize::from(area.width);
    let left = clean::line(&[status(desk), writing(desk)].concat());
    let is_well = matches!(desk.state.phase, Phase::Connected { .. }) && desk.state.quorum;
    let style = if is_well { look.quiet() } else { look.alert() };
    let elsewhere: u64 = desk
        .state
        .rooms
        .values()
        .filter(|seen| Some(seen.room.room) != desk.current)
        .map(|seen| seen.room.unread)
        .sum();
    let right = match elsewhere {
        0 => "F1 help".to_owned(),
        count => format!("{count} unread · F1 help"),
    };
    let gap = width.saturating_sub(left.width() + right.width());
    let text = if gap > 1 { format!("{left}{}{right}", " ".repeat(gap)) } else { cut(&left, width) };
    frame.render_widget(Line::styled(text, style), area);
}

fn draw_rooms(frame: &mut Frame<'_>, area: Rect, desk: &Desk, look: Look) {
    let width = usize::from(area.width);
    let listed = desk.state.listed();
    let mut lines = vec![Line::styled(cut(&clean::line(&desk.state.me), width), look.name(true))];
    let place = listed.iter().position(|(room, _)| Some(*room) == desk.current).unwrap_or(0);
    let height = usize::from(area.height).saturating_sub(1).max(1);
    let skipped = place.saturating_sub(height - 1);
    for (room, title) in listed.iter().skip(skipped).take(height) {
        let unread = desk.state.rooms.get(room).map_or(0, |seen| seen.room.unread);
        let count = if unread > 0 { format!(" {unread}") } else { String::new() };
        let is_current = Some(*room) == desk.current;
        let mark = if is_current { "> " } else { "  " };
        let title = cut(&clean::line(title), width.saturating_sub(2 + count.width()));
        let mut style = Style::new();
        if is_current {
            style = style.add_modifier(Modifier::REVERSED);
        }
        if unread > 0 {
            style = style.add_modifier(Modifier::BOLD);
        }
        lines.push(Line::from(vec![
            Span::styled(format!("{mark}{title}"), style),
            Span::styled(count, look.alert()),
        ]));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_conversation(frame: &mut Frame<'_>, area: Rect, desk: &mut Desk, look: Look) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let Some(seen) = desk.current.and_then(|room| desk.state.rooms.get(&room)) else {
        let text = match desk.state.phase {
            Phase::Connected { .. } => "No rooms yet: /create one, or /join one",
            _ => "Looking for a node of the chat…",
        };
        frame.render_widget(Paragraph::new(wrap(text, width).join("\n")), area);
        desk.shown = None;
        return;
    };
    let title = clean::line(&seen.room.title(&desk.state.me));
    let topic = if seen.room.topic.is_empty() {
        String::new()
    } else {
        format!("  {}", clean::line(&seen.room.topic))
    };
    let has_title = height > 4;
    let room_for = height - usize::from(has_title);
    let (lines, shown) = conversation(desk, seen, width, room_for, look);
    let mut all = Vec::with_capacity(height);
    if has_title {
        let title_width = title.width().min(width);
        all.push(Line::from(vec![
            Span::styled(cut(&title, width), Style::new().add_modifier(Modifier::BOLD)),
            Span::styled(cut(&topic, width - title_width), look.quiet()),
        ]));
    }
    all.extend((0..room_for.saturating_sub(lines.len())).map(|_| Line::default()));
    all.extend(lines);
    frame.render_widget(Paragraph::new(all), area);
    desk.shown = shown;
}

/// The lines of the conversation that fit, the last at the foot, and the first and last message among them.
fn conversation<'a>(
    desk: &Desk,
    seen: &Seen,
    width: usize,
    height: usize,
    look: Look,
) -> (Vec<Line<'a>>, Option<(u64, u64)>) {
    let mut blocks: Vec<Vec<Line<'a>>> = Vec::new();
    let mut used = 0;
    if desk.foot.is_none() {
        let waiting = waiting_lines(desk, width, look);
        used += waiting.len();
        blocks.push(waiting);
    }
    let foot = desk.foot.unwrap_or(u64::MAX);
    let mut shown: Option<(u64, u64)> = None;
    let mut before = seen.messages.range(..=foot).rev().peekable();
    while used < height
        && let Some((seq, message)) = before.next()
    {
        let earlier = before.peek().map(|(_, message)| *message);
        let block = message_lines(desk, seen, message, earlier, width, look);
        used += block.len();
        let last = shown.map_or(*seq, |(_, last)| last);
        shown = Some((*seq, last));
        blocks.push(block);
    }
    if used < height && seen.is_loaded && !seen.has_older && !seen.messages.is_empty() {
        blocks.push(vec![Line::styled("— the beginning —", look.quiet())]);
    }
    let mut lines: Vec<Line<'a>> = blocks.into_iter().rev().flatten().collect();
    let too_much = lines.len().saturating_sub(height);
    lines.drain(..too_much);
    (lines, shown)
}

fn message_lines<'a>(
    desk: &Desk,
    seen: &Seen,
    message: &Message,
    earlier: Option<&Message>,
    width: usize,
    look: Look,
) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let day = day(message.time);
    let is_new_day = earlier.is_none_or(|earlier| self::day(earlier.time) != day);
    if is_new_day && !day.is_empty() {
        lines.push(Line::styled(cut(&format!("── {day} ──"), width), look.quiet()));
    }
    let is_first_unread = desk.new_from == Some(message.seq);
    if is_first_unread {
        lines.push(Line::styled("── New ──", look.alert()));
    }
    let follows = earlier.is_some_and(|earlier| {
        earlier.from == message.from && message.time.saturating_sub(earlier.time) < GROUP_MS
    });
    if is_new_day || is_first_unread || !follows || message.reply_to.is_some() {
        lines.push(Line::from(vec![
            Span::styled(clean::line(&message.from), look.name(message.from == desk.state.me)),
            Span::styled(format!("  {}", clock(message.time)), look.quiet()),
        ]));
    }
    let is_picked = matches!(
        desk.mode,
        Mode::Picking(seq) | Mode::Deleting(seq) | Mode::Reacting(seq) if seq == message.seq
    );
    let margin = if is_picked { "> " } else { "  " };
    let style = if is_picked { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let inner = width.saturating_sub(2);
    if let Some(answered) = message.reply_to {
        let said = match seen.messages.get(&answered) {
            Some(other) if other.deleted => format!("{}: deleted", other.from),
            Some(other) => format!("{}: {}", other.from, other.text),
            None => format!("message {answered}"),
        };
        let said = cut(&clean::line(&said.replace('\n', " ")), inner.saturating_sub(2).min(REPLY_WIDTH));
        lines.push(Line::styled(format!("  ↳ {said}"), look.quiet()));
    }
    if message.deleted {
        lines.push(Line::from(vec![Span::raw(margin), Span::styled("deleted", look.quiet())]));
        return lines;
    }
    let text = clean::lines(&message.text);
    let edited = if message.edited { " (edited)" } else { "" };
    if !text.is_empty() {
        for line in wrap(&format!("{text}{edited}"), inner) {
            lines.push(Line::from(vec![Span::raw(margin), Span::styled(line, style)]));
        }
    }
    for file in &message.files {
        let file = format!("  [file: {}, {}]", clean::line(&file.name), size(file.bytes));
        lines.push(Line::raw(cut(&file, width)));
    }
    if !message.reactions.is_empty() {
        let count =
            |(emoji, users): (&String, &Vec<String>)| format!("{} {}", clean::line(emoji), users.len());
        let reactions: Vec<String> = message.reactions.iter().map(count).collect();
        lines.push(Line::styled(cut(&format!("  {}", reactions.join("  ")), width), look.quiet()));
    }
    lines
}

/// What is on its way, or was refused, at the end of its room.
fn waiting_lines<'a>(desk: &Desk, width: usize, look: Look) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for item in desk.outbox.iter().filter(|item| Some(item.room) == desk.current) {
        let state = match (&item.refused, item.op.as_str()) {
            (Some(why), _) => format!("not sent: {}; /again or /drop", clean::line(why)),
            (None, "edit") => "sending an edit".into(),
            (None, _) => "sending".into(),
        };
        lines.push(Line::from(vec![
            Span::styled(clean::line(&desk.state.me), look.name(true)),
            Span::styled(
                cut(&format!("  {state}"), width.saturating_sub(desk.state.me.width())),
                look.alert(),
            ),
        ]));
        let text = clean::lines(item.fields["text"].as_str().unwrap_or_default());
        let text = wrap(&text, width.saturating_sub(2));
        lines.extend(text.into_iter().map(|line| Line::styled(format!("  {line}"), look.quiet())));
    }
    lines
}

/// What one is doing, or what there is to say.
fn hint(desk: &Desk) -> Option<String> {
    let doing = match &desk.mode {
        Mode::Picking(_) => Some("↑ ↓ pick, r reply, + react, e edit, d delete, Esc back".to_owned()),
        Mode::Reacting(_) => Some("Enter reacts with this emoji, or takes it back; Esc back".to_owned()),
        Mode::Deleting(_) => Some("Delete this message? y deletes it, any other key keeps it".to_owned()),
        _ => None,
    };
    let answered = || {
        let seen = desk.state.rooms.get(&desk.current?)?;
        let message = seen.messages.get(&desk.draft.reply_to?)?;
        Some(format!("Reply to {}: {} (Esc: no reply)", message.from, message.text.replace('\n', " ")))
    };
    let editing =
        || desk.draft.editing.map(|_| "Editing: Enter keeps it, Esc leaves it as it was".to_owned());
    let back = || desk.foot.map(|_| "Further back: PgDn or Esc leads to the newest".to_owned());
    let said = desk.notice.clone().or(doing).or_else(editing).or_else(answered).or_else(back);
    said.map(|said| clean::line(&said))
}

fn hint_text(desk: &Desk, height: u16) -> Option<String> {
    if height > 0 { hint(desk) } else { None }
}

/// The line that is being written, what stands before it, and the cursor.
struct InputLines {
    lines: Vec<String>,
    cursor: (usize, usize),
}

impl InputLines {
    fn len(&self) -> usize {
        self.lines.len()
    }
}

fn input_lines(desk: &Desk, width: usize) -> InputLines {
    let (prompt, input): (&str, &Input) = match desk.mode {
        Mode::Choosing => ("Room: ", &desk.filter),
        Mode::Searching => ("Search: ", &desk.filter),
        Mode::Reacting(_) => ("Reaction: ", &desk.filter),
        _ => ("> ", &desk.draft.input),
    };
    let text = input.text();
    let before: String = text.chars().take(input.cursor()).collect();
    let shown = |text: &str| wrap(&format!("{prompt}{}", clean::lines(text)), width);
    // Broken where the whole is broken: a word behind the cursor may take it to the next line.
    let (lines, upto) = (shown(&text), shown(&before));
    let row = upto.len().saturating_sub(1).min(lines.len().saturating_sub(1));
    let column = upto.last().map_or(0, |line| line.width());
    InputLines { lines, cursor: (row, column) }
}

fn draw_input(frame: &mut Frame<'_>, area: Rect, desk: &Desk, input: &InputLines) {
    let (row, column) = input.cursor;
    let height = usize::from(area.height);
    let skipped = row.saturating_sub(height.saturating_sub(1));
    let lines: Vec<Line<'_>> =
        input.lines.iter().skip(skipped).take(height).map(|line| Line::raw(line.as_str())).collect();
    frame.render_widget(Paragraph::new(lines), area);
    if matches!(desk.mode, Mode::Writing | Mode::Choosing | Mode::Searching | Mode::Reacting(_)) {
        let x = area.x + u16::try_from(column).unwrap_or(0).min(area.width.saturating_sub(1));
        let y = area.y + u16::try_from(row - skipped).unwrap_or(0).min(area.height.saturating_sub(1));
        frame.set_cursor_position(Position::new(x, y));
    }
}

fn draw_list(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    lines: &[String],
    chosen: Option<usize>,
    look: Look,
) {
    let width = usize::from(area.width);
    let height = usize::from(area.height).saturating_sub(1).max(1);
    let skipped = chosen.map_or(0, |chosen| chosen.saturating_sub(height - 1));
    let mut shown = vec![Line::styled(cut(title, width), look.alert())];
    for (place, line) in lines.iter().enumerate().skip(skipped).take(height) {
        let is_chosen = chosen == Some(place);
        let mark = if is_chosen { "> " } else { "  " };
        let style = if is_chosen { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        shown.push(Line::styled(cut(&format!("{mark}{line}"), width), style));
    }
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(shown), area);
}

fn help(width: usize) -> Vec<String> {
    let left = HELP.iter().map(|(keys, _)| keys.width()).max().unwrap_or(0);
    let line = |(keys, does): &(&str, &str)| {
        let gap = " ".repeat(left - keys.width() + 2);
        cut(&format!("{keys}{gap}{does}"), width.saturating_sub(2))
    };
    HELP.iter().map(line).collect()
}

fn found_line(desk: &Desk, message: &Message) -> String {
    let room =
        desk.state.rooms.get(&message.room).map(|seen| seen.room.title(&desk.state.me)).unwrap_or_default();
    let text = message.text.replace('\n', " ");
    clean::line(&format!("{} {} {} {}: {text}", day(message.time), clock(message.time), room, message.from))
}

/// The reader's own date of Unix milliseconds.
fn day(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(DateTime::from_timestamp_millis);
    time.map(|time| time.with_timezone(&Local).format("%a %-d %b %Y").to_string()).unwrap_or_default()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
