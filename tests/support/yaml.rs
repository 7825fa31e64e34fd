//! Reads the part of YAML that the files in `deploy` are written in: blocks, flows in one line, quotes, block scalars, anchors and
//! merges. Whatever else comes up is refused, so that nothing is read otherwise than by the programs that use these files.

use serde_json::{Map, Value as Json, json};

/// The documents of a text.
pub(crate) fn documents(text: &str) -> Vec<Json> {
    let mut reader = Reader { lines: Vec::new(), at: 0, anchors: Map::new() };
    let mut documents = Vec::new();
    for part in text.split("\n---\n") {
        reader.lines = part.lines().map(ToOwned::to_owned).collect();
        reader.at = 0;
        documents.push(reader.block(0));
        assert!(reader.peek().is_none(), "line {}: not a part of anything", reader.at + 1);
        // Anchors end with their document.
        reader.anchors = Map::new();
    }
    documents
}

struct Reader {
    lines: Vec<String>,
    at: usize,
    anchors: Map<String, Json>,
}

impl Reader {
    /// The next line that says something: its indentation and its text.
    fn peek(&mut self) -> Option<(usize, String)> {
        while let Some(line) = self.lines.get(self.at) {
            let text = without_comment(line).trim_end();
            assert!(!text.contains('\t'), "a tab in `{line}`");
            if !text.trim_start().is_empty() {
                return Some((text.len() - text.trim_start().len(), text.trim_start().to_owned()));
            }
            self.at += 1;
        }
        None
    }

    /// A map or list whose lines are indented by `least` or more, or null.
    fn block(&mut self, least: usize) -> Json {
        match self.peek() {
            Some((indent, text)) if indent >= least && is_item(&text) => self.list(indent),
            Some((indent, _)) if indent >= least => self.map(indent),
            _ => Json::Null,
        }
    }

    fn list(&mut self, indent: usize) -> Json {
        let mut list = Vec::new();
        while let Some((_, text)) = self.peek().filter(|(at, text)| *at == indent && is_item(text)) {
            let rest = text[1..].trim_start().to_owned();
            let inner = indent + text.len() - rest.len();
            if key_of(&rest).is_some() && !rest.starts_with(['{', '[']) {
                // A map that begins in the line of its dash.
                self.lines[self.at] = format!("{}{rest}", " ".repeat(inner));
                list.push(self.map(inner));
            } else {
                self.at += 1;
                list.push(self.value(&rest, indent + 1));
            }
        }
        Json::Array(list)
    }

    fn map(&mut self, indent: usize) -> Json {
        let (mut map, mut merged) = (Map::new(), Map::new());
        while let Some((at, text)) = self.peek().filter(|(at, text)| *at >= indent && !is_item(text)) {
            assert_eq!(at, indent, "line {}: {text}", self.at + 1);
            let (key, rest) = key_of(&text).unwrap_or_else(|| panic!("no key in `{text}`"));
            self.at += 1;
            // A list may be as far to the left as its key.
            let own = self.peek().is_some_and(|(at, text)| at == indent && is_item(&text));
            let value = self.value(&rest, if own { indent } else { indent + 1 });
            if key == "<<" {
                merged.extend(value.as_object().unwrap_or_else(|| panic!("`{text}` merges no map")).clone());
            } else {
                assert!(map.insert(key, value).is_none(), "line {}: `{text}` comes twice", self.at);
            }
        }
        merged.extend(map);
        Json::Object(merged)
    }

    /// What is behind a key or a dash; what is below it is indented by `least` or more.
    fn value(&mut self, text: &str, least: usize) -> Json {
        if let Some(name) = text.strip_prefix('&') {
            let (name, rest) = name.split_once(' ').unwrap_or((name, ""));
            let value = self.value(rest.trim_start(), least);
            self.anchors.insert(name.to_owned(), value.clone());
            return value;
        }
        match text {
            "" => self.block(least),
            "|" | ">" => self.scalar(text == ">", least),
            _ => {
                let mut flow = Flow { rest: text, anchors: &self.anchors };
                let value = flow.value(&[]);
                assert!(flow.rest.trim().is_empty(), "`{}` is left of `{text}`", flow.rest);
                value
            }
        }
    }

    fn scalar(&mut self, folded: bool, least: usize) -> Json {
        let indent_of = |line: &str| line.len() - line.trim_start().len();
        let (mut text, mut indent) = (Vec::new(), None);
        while let Some(line) = self.lines.get(self.at).filter(|line| indent_of(line) >= least) {
            let indent = *indent.get_or_insert(indent_of(line));
            assert!(!folded || indent_of(line) == indent, "`{line}` is not to be folded");
            text.push(line[indent..].to_owned());
            self.at += 1;
        }
        json!(text.join(if folded { " " } else { "\n" }) + "\n")
    }
}

fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// The key that a line begins with, and what follows its colon.
fn key_of(text: &str) -> Option<(String, String)> {
    let end = match text.strip_prefix(['"', '\'']) {
        Some(rest) => rest.find(&text[..1])? + 2,
        None => text.find(": ").or_else(|| text.ends_with(':').then(|| text.len() - 1))?,
    };
    let rest = text[end..].strip_prefix(':')?;
    Some((text[..end].trim_matches(['"', '\'']).to_owned(), rest.trim_start().to_owned()))
}

fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if "\"'".contains(c) && " [{,".contains(before) => quote = Some(c),
            None if c == '#' && before == ' ' => return &line[..at],
            None => {}
        }
        before = c;
    }
    line
}

/// A value in one line.
struct Flow<'a> {
    rest: &'a str,
    anchors: &'a Map<String, Json>,
}

impl Flow<'_> {
    fn take(&mut self, c: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A value; a plain one ends at any of these.
    fn value(&mut self, ends: &[char]) -> Json {
        if self.take('[') {
            let mut list = Vec::new();
            while !self.take(']') {
                list.push(self.value(&[',', ']']));
                assert!(self.take(',') || self.rest.trim_start().starts_with(']'), "at `{}`", self.rest);
            }
            return Json::Array(list);
        }
        if self.take('{') {
            let mut map = Map::new();
            while !self.take('}') {
                let key = self.value(&[':']);
                assert!(self.take(':'), "no colon at `{}`", self.rest);
                map.insert(key.as_str().unwrap().to_owned(), self.value(&[',', '}']));
                assert!(self.take(',') || self.rest.trim_start().starts_with('}'), "at `{}`", self.rest);
            }
            return Json::Object(map);
        }
        self.rest = self.rest.trim_start();
        if let Some(quote) = self.rest.chars().next().filter(|c| "\"'".contains(*c)) {
            let end =
                self.rest[1..].find(quote).unwrap_or_else(|| panic!("`{}` does not end", self.rest)) + 1;
            let text = &self.rest[1..end];
            self.rest = &self.rest[end + 1..];
            assert!(
                !self.rest.starts_with(quote) && (quote == '\'' || !text.contains('\\')),
                "escapes in `{text}`"
            );
            return json!(text);
        }
        let end = self.rest.find(ends).filter(|_| !ends.is_empty()).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        let text = text.trim();
        if let Some(name) = text.strip_prefix('*') {
            return self.anchors.get(name).unwrap_or_else(|| panic!("there is no anchor {name}")).clone();
        }
        assert!(!text.starts_with(['&', '!', '|', '>', '@', '%', '`']), "`{text}` is not read here");
        match text {
            "" | "~" | "null" => Json::Null,
            "true" => json!(true),
            "false" => json!(false),
            "yes" | "no" | "on" | "off" => panic!("`{text}` is a text for some and a truth value for others"),
            _ => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
        }
    }
}
