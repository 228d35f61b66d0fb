//! An estimate of the registers that a compiler gives a kernel.
//!
//! PTX names as many registers as it likes; how many a thread has is the assembler's choice, which is not
//! simulated. The estimate is the most of them that are alive at once, each from the first line that names
//! it to the last, and to the end of a loop that both are in. It serves occupancy, nothing else.

use std::collections::{BTreeMap, HashMap};

/// Registers of the smallest kernel, and of the largest.
pub(crate) const LEAST: u32 = 16;
const MOST: u32 = 255;
/// What addresses and the like take beside a kernel's own values.
const BESIDE: u32 = 8;

/// Registers a thread of each entry of `ptx`, by its name.
pub(crate) fn estimate(ptx: &str) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for entry in ptx.split(".entry").skip(1) {
        let name: String = entry.trim_start().chars().take_while(|&c| is_name(c)).collect();
        let end = entry.find("\n}").unwrap_or(entry.len());
        found.insert(name, (most_alive(&entry[..end]) + BESIDE).clamp(LEAST, MOST));
    }
    found
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '%')
}

/// 32-bit registers that are alive at once at most.
fn most_alive(body: &str) -> u32 {
    let mut widths: HashMap<&str, u32> = HashMap::new();
    let mut spans: HashMap<&str, (usize, usize)> = HashMap::new();
    let mut labels: HashMap<&str, usize> = HashMap::new();
    let mut loops: Vec<(usize, usize)> = Vec::new();
    let lines: Vec<&str> = body.lines().map(|line| line.split("//").next().unwrap_or("").trim()).collect();
    for (number, line) in lines.iter().enumerate() {
        if let Some(declared) = line.strip_prefix(".reg") {
            declare(declared, &mut widths);
        } else if let Some((label, _)) = line.split_once(':').filter(|(label, _)| label.chars().all(is_name))
        {
            labels.insert(label, number);
        }
        for word in line.split(|c| !is_name(c)).filter(|word| !word.is_empty()) {
            match labels.get(word) {
                Some(&start) if line.contains("bra") && start < number => loops.push((start, number)),
                _ if word.starts_with('%') => {
                    let span = spans.entry(word).or_insert((number, number));
                    span.1 = number;
                }
                _ => {}
            }
        }
    }
    let mut change = vec![0i64; lines.len() + 1];
    for (register, (first, mut last)) in spans {
        let stem = register.trim_end_matches(|c: char| c.is_ascii_digit());
        let width = widths.get(register).or_else(|| widths.get(stem)).copied().unwrap_or(0);
        for &(start, end) in &loops {
            // A value from before a loop that is used in it must be there in every turn.
            if first < start && (start..end).contains(&last) {
                last = end;
            }
        }
        change[first] += i64::from(width);
        change[last] -= i64::from(width);
    }
    let alive = change.iter().scan(0, |alive, change| {
        *alive += change;
        Some(*alive)
    });
    u32::try_from(alive.max().unwrap_or(0)).unwrap_or(0)
}

/// Notes the registers of a declaration such as ` .b32 %r<8>;`, by the stem of their names.
fn declare<'p>(declared: &'p str, widths: &mut HashMap<&'p str, u32>) {
    let mut words = declared.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    let Some(ty) = words.find(|word| word.starts_with('.')) else { return };
    let width = match ty.trim_start_matches(|c: char| !c.is_ascii_digit()) {
        "64" => 2,
        "128" => 4,
        "8" | "16" | "32" => 1,
        // Predicates have registers of their own.
        _ => 0,
    };
    for word in words.filter(|word| !word.is_empty()) {
        widths.insert(word.split('<').next().unwrap_or(word), width);
    }
}

#[cfg(test)]
mod tests {
    use super::{BESIDE, estimate, most_alive};

    const LOOP: &str = "
        .reg .pred %p<2>;
        .reg .b64 %rd<3>;
        .reg .f32 %f<3>;
        ld.param.u64 %rd1, [data];
        mov.f32 %f1, 0f00000000;
    AGAIN:
        ld.global.f32 %f2, [%rd1];
        add.f32 %f1, %f1, %f2;
        add.s64 %rd1, %rd1, 4;
        setp.lt.u64 %p1, %rd1, 400;
        @%p1 bra AGAIN;
        st.global.f32 [0], %f1;";

    #[test]
    fn values_of_a_loop_are_alive_in_all_of_it() {
        // The address, the sum, and the value that is added.
        assert_eq!(most_alive(LOOP), 4);
        let many: String = (0..40).map(|i| format!("mov.f32 %f{i}, 0f00000000;\n")).collect();
        let used: String = (0..40).map(|i| format!("st.global.f32 [0], %f{i};\n")).collect();
        let text = format!(".visible .entry wide(\n)\n{{\n.reg .f32 %f<40>;\n{many}{used}\n}}\n");
        assert_eq!(estimate(&text)["wide"], 40 + BESIDE);
    }
}
