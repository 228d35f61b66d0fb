//! Reads from a kernel file what the host needs to know: its entry points with their parameters,
//! the constants it shares with the host, and the architectures it is restricted to.

use super::target::Arch;

/// What a kernel file says about itself.
#[derive(Debug, PartialEq)]
pub struct Signature {
    pub entries: Vec<Entry>,
    pub constants: Vec<Constant>,
    /// From a header line `// Arch      sm_90a`; empty when there is none.
    pub archs: Vec<Arch>,
}

/// An `extern "C" __global__ void name(...)`.
#[derive(Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    pub params: Vec<Param>,
    /// What follows the colon in the header's first line, `// name: ...`; empty without a header.
    pub summary: String,
    /// The header's lines after the first that are indented: the equation.
    pub equation: Vec<String>,
}

/// A parameter of an entry point.
#[derive(Debug, PartialEq)]
pub struct Param {
    pub name: String,
    /// As in the kernel, without `__restrict__` and `__grid_constant__`: `const float*`.
    pub c_type: String,
    /// What the host passes: `Ptr<f32>`.
    pub rust_type: String,
}

/// A `constexpr int NAME = ...;  // host`.
#[derive(Debug, PartialEq)]
pub struct Constant {
    pub name: String,
    pub value: String,
    /// What follows `// host:`, if anything.
    pub note: String,
}

/// Names of parameters that Rust keeps for itself.
const RESERVED: [&str; 16] = [
    "as", "box", "dyn", "fn", "impl", "in", "let", "loop", "match", "mod", "move", "ref", "self", "type",
    "use", "where",
];

/// Reads `source`, the text of `file`.
///
/// # Errors
/// With file and line, what is not understood and what to write instead.
pub fn parse(file: &str, source: &str) -> Result<Signature, String> {
    let at = |line: usize, what: String| format!("{file}:{line}: {what}");
    let mut signature =
        Signature { entries: entries(file, source)?, constants: Vec::new(), archs: Vec::new() };
    for (number, line) in (1..).zip(source.lines()) {
        if let Some(archs) = arch_line(line) {
            signature.archs = archs.map_err(|what| at(number, what))?;
        }
        if let Some(constant) = constant_line(line, &signature.constants) {
            signature.constants.push(constant.map_err(|what| at(number, what))?);
        }
    }
    Ok(signature)
}

/// `// Arch      sm_90a`, or several separated by commas.
fn arch_line(line: &str) -> Option<Result<Vec<Arch>, String>> {
    let list = line.strip_prefix("// Arch")?.strip_prefix(|c: char| c == ':' || c.is_whitespace())?;
    let words = list.split([',', ' ']).filter(|word| !word.is_empty());
    Some(
        words
            .map(|word| {
                Arch::parse(word).ok_or(format!("expected an architecture like sm_90a, found {word}"))
            })
            .collect(),
    )
}

/// `constexpr int NAME = VALUE;  // host`. The value may use the constants `before` it.
fn constant_line(line: &str, before: &[Constant]) -> Option<Result<Constant, String>> {
    let (code, comment) = line.split_once("//")?;
    let note = comment.trim().strip_prefix("host")?;
    let note = note.strip_prefix(':').or(note.is_empty().then_some(""))?.trim();
    let parts = code.trim().strip_prefix("constexpr int ").and_then(|rest| {
        let (name, value) = rest.trim_end().strip_suffix(';')?.split_once('=')?;
        Some((name.trim(), value.trim()))
    });
    let Some((name, value)) = parts else {
        return Some(Err("a line marked `// host` has the form `constexpr int NAME = VALUE;`".into()));
    };
    let unknown = words(value).find(|(_, word)| {
        let name = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        name && !before.iter().any(|constant| constant.name == *word)
    });
    if let Some((_, word)) = unknown {
        return Some(Err(format!("{name} uses {word}, which is no constant marked `// host` above it")));
    }
    Some(Ok(Constant { name: name.into(), value: value.into(), note: note.into() }))
}

fn entries(file: &str, source: &str) -> Result<Vec<Entry>, String> {
    let code = without_comments(source);
    let words: Vec<(usize, &str)> = words(&code).collect();
    let mut entries = Vec::new();
    for (i, &(line, _)) in words.iter().enumerate().filter(|(_, (_, word))| *word == "__global__") {
        let at = |what: String| format!("{file}:{line}: {what}");
        if i < 2 || words[i - 2].1 != "extern" || words[i - 1].1 != "\"C\"" {
            return Err(at("an entry point is written `extern \"C\" __global__ void name(...)`".into()));
        }
        let (name, params) = declaration(&words[i + 1..]).map_err(at)?;
        let params = params
            .split(|&(_, word)| word == ",")
            .filter(|param| !param.is_empty())
            .map(|words| param(words).map_err(|what| format!("{file}:{}: {name}: {what}", words[0].0)))
            .collect::<Result<_, _>>()?;
        let (summary, equation) = header(source, name);
        entries.push(Entry { name: name.into(), params, summary, equation });
    }
    Ok(entries)
}

/// A word of the source and the line it is on.
type Word<'a> = (usize, &'a str);

/// Reads `void attribute(...) name(params) {`; returns the name and the words of the parameters.
fn declaration<'a, 'w>(words: &'w [Word<'a>]) -> Result<(&'a str, &'w [Word<'a>]), String> {
    let mut i = 0;
    loop {
        let &(_, word) = words.get(i).ok_or("the file ends within an entry point's declaration")?;
        i += 1;
        let list = match words.get(i) {
            Some((_, "(")) => parenthesised(&words[i + 1..])?,
            _ if word == "void" => continue,
            _ => return Err(format!("expected the entry point's name and `(`, found `{word}`")),
        };
        i += list.len() + 2;
        // `__launch_bounds__(...)` and its like stand before the name.
        if word.starts_with("__") {
            continue;
        }
        return match words.get(i) {
            Some((_, "{")) => Ok((word, list)),
            _ => Err(format!("{word}: an entry point is defined where it is declared")),
        };
    }
}

/// The words up to the parenthesis that closes the one before `words`.
fn parenthesised<'a, 'w>(words: &'w [Word<'a>]) -> Result<&'w [Word<'a>], String> {
    let mut depth = 1;
    for (i, (_, word)) in words.iter().enumerate() {
        depth += i32::from(*word == "(") - i32::from(*word == ")");
        if depth == 0 {
            return Ok(&words[..i]);
        }
    }
    Err("a parenthesis is not closed".into())
}

fn param(words: &[Word<'_>]) -> Result<Param, String> {
    let qualifier = |word: &str| word.starts_with("__restrict") || word == "__grid_constant__";
    let words: Vec<&str> = words.iter().map(|&(_, word)| word).filter(|word| !qualifier(word)).collect();
    let (name, c_type) = words.split_last().ok_or("a parameter has neither type nor name")?;
    if RESERVED.contains(name) {
        return Err(format!("parameter `{name}` has the name of a Rust keyword: rename it"));
    }
    let star = c_type.iter().position(|word| *word == "*");
    let (value, after) = c_type.split_at(star.unwrap_or(c_type.len()));
    let element: Vec<&str> = value.iter().copied().filter(|word| *word != "const").collect();
    let element = match element.join(" ").as_str() {
        "float" => "f32",
        "double" => "f64",
        "int" => "i32",
        "unsigned" | "unsigned int" => "u32",
        "unsigned long long" => "u64",
        "unsigned short" => "u16",
        "unsigned char" => "u8",
        "bf16" => "half::bf16",
        "TensorMap" => "TensorMap",
        _ => "",
    };
    let rust_type = match (after, element) {
        ([], "f32" | "i32" | "u32" | "u64" | "TensorMap") => element.to_string(),
        (["*"] | ["*", "const"], "f32" | "f64" | "i32" | "u32" | "u64" | "u16" | "u8" | "half::bf16") => {
            format!("{}<{element}>", if value.contains(&"const") { "Ptr" } else { "PtrMut" })
        }
        _ => {
            return Err(format!(
                "parameter `{name}` has the type `{}`; the host can pass float, int, unsigned, unsigned \
                 long long, TensorMap, and pointers to the numbers, to double, unsigned short, unsigned char \
                 and bf16",
                c_type.join(" ")
            ));
        }
    };
    Ok(Param { name: (*name).into(), c_type: c_type.join(" ").replace(" *", "*"), rust_type })
}

/// The summary and the equation from the comment that starts with `// name:`.
fn header(source: &str, name: &str) -> (String, Vec<String>) {
    let mut lines = source.lines().skip_while(|line| !line.starts_with(&format!("// {name}:")));
    let summary = lines.next().and_then(|line| line.split_once(':')).map_or("", |(_, text)| text.trim());
    let equation = lines.map_while(|line| line.strip_prefix("//   ").map(|text| text.trim_end().to_string()));
    (summary.into(), equation.collect())
}

/// The source with comments blanked out, line breaks kept.
fn without_comments(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("//").into_iter().chain(rest.find("/*")).min() {
        code += &rest[..start];
        let comment = &rest[start..];
        let end = if comment.starts_with("//") {
            comment.find('\n')
        } else {
            comment[2..].find("*/").map(|end| end + "/**/".len())
        };
        let (comment, after) = comment.split_at(end.unwrap_or(comment.len()));
        code.extend(comment.chars().filter(|c| *c == '\n'));
        code.push(' ');
        rest = after;
    }
    code + rest
}

/// The identifiers, numbers, and single other characters of `code`, each with its line. `"C"` is
/// one word.
fn words(code: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = code;
    let mut line = 1;
    std::iter::from_fn(move || {
        let blank = rest.len() - rest.trim_start().len();
        line += rest[..blank].matches('\n').count();
        rest = &rest[blank..];
        let first = rest.chars().next()?;
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            _ if rest.starts_with("\"C\"") => 3,
            _ if in_word(first) => rest.find(|c| !in_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        rest = after;
        Some((line, word))
    })
}
