//! A second reader of the text format: slow, on characters, one state at a time.

/// Name, labels in order, value.
pub(super) type Sample = (String, Vec<(String, String)>, f64);

#[derive(Clone, Copy, PartialEq)]
enum State {
    Name,
    AfterName,
    BeforeLabel,
    LabelName,
    BeforeEquals,
    BeforeQuote,
    Quoted,
    Escaped,
    AfterLabel,
    BeforeNumber,
    Number,
    Time,
}

/// All samples except those of unknown families, or the number of the first bad line.
pub(super) fn read(text: &str) -> Result<Vec<Sample>, usize> {
    let mut samples = Vec::new();
    let mut unknown = None;
    for (at, line) in text.split('\n').enumerate() {
        let line = line.trim_matches([' ', '\t', '\r', '\x0c']);
        let words: Vec<_> =
            line.strip_prefix('#').unwrap_or_default().split_ascii_whitespace().collect();
        match (line.chars().next(), words.as_slice()) {
            (Some('#'), ["TYPE", family, kind]) if is_name(family, true) => {
                let kind = kind.to_lowercase();
                let known = matches!(
                    kind.as_str(),
                    "counter" | "gauge" | "untyped" | "unknown" | "histogram" | "summary"
                );
                unknown = (!known).then(|| (*family).to_owned());
            }
            (Some('#'), ["TYPE", ..]) => return Err(at + 1),
            (None | Some('#'), _) => {}
            _ => {
                let sample = line_of(line).ok_or(at + 1)?;
                let parts = "|_bucket|_sum|_count|_total|_created|_gsum|_gcount|_info";
                let skipped = unknown.as_ref().is_some_and(|family| {
                    parts.split('|').any(|part| format!("{family}{part}") == sample.0)
                });
                if !skipped {
                    samples.push(sample);
                }
            }
        }
    }
    Ok(samples)
}

fn is_name(text: &str, metric: bool) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (metric && c == ':');
    !text.is_empty() && text.chars().all(fits) && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn line_of(line: &str) -> Option<Sample> {
    let blank = |c: char| c.is_ascii_whitespace();
    let (mut name, mut number, mut time) = (String::new(), String::new(), String::new());
    let (mut label, mut value, mut labels) = (String::new(), String::new(), Vec::new());
    let mut state = State::Name;
    for c in line.chars() {
        state = match (state, c) {
            (State::Name | State::AfterName, '{') => State::BeforeLabel,
            (State::Name | State::AfterName, c) if blank(c) => State::AfterName,
            (State::Name, c) => {
                name.push(c);
                State::Name
            }
            (State::BeforeLabel | State::AfterLabel, '}') => State::BeforeNumber,
            (
                State::BeforeLabel
                | State::BeforeEquals
                | State::BeforeQuote
                | State::AfterLabel
                | State::BeforeNumber,
                c,
            ) if blank(c) => state,
            (State::LabelName, c) if blank(c) => State::BeforeEquals,
            (State::LabelName | State::BeforeEquals, '=') => State::BeforeQuote,
            (State::BeforeLabel | State::LabelName, c) => {
                label.push(c);
                State::LabelName
            }
            (State::BeforeQuote, '"') => State::Quoted,
            (State::Quoted, '"') => {
                labels.push((std::mem::take(&mut label), std::mem::take(&mut value)));
                State::AfterLabel
            }
            (State::Quoted, '\\') => State::Escaped,
            (State::Quoted, c) => {
                value.push(c);
                State::Quoted
            }
            (State::Escaped, c) => {
                match c {
                    'n' => value.push('\n'),
                    '"' | '\\' => value.push(c),
                    c => value.extend(['\\', c]),
                }
                State::Quoted
            }
            (State::AfterLabel, ',') => State::BeforeLabel,
            (State::Number, ' ' | '\t') => State::Time,
            (State::Time, c) if blank(c) && time.is_empty() => State::Time,
            (State::AfterName | State::BeforeNumber | State::Number, c) => {
                number.push(c);
                State::Number
            }
            (State::Time, c) => {
                time.push(c);
                State::Time
            }
            (State::BeforeEquals | State::BeforeQuote | State::AfterLabel, _) => return None,
        };
    }
    let named = is_name(&name, true) && labels.iter().all(|(label, _)| is_name(label, false));
    let timed = time.is_empty() || time.parse::<i64>().is_ok();
    let ended = matches!(state, State::Number | State::Time);
    (named && timed && ended).then_some((name, labels, number.parse().ok()?))
}
