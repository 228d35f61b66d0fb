//! Writes the typed launch structures of kernels/**/*.cu.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=kernels");
    let mut out = String::new();
    for dir in std::fs::read_dir("kernels").unwrap().flatten().filter(|d| d.path().is_dir()) {
        let folder = dir.file_name().into_string().unwrap();
        let mut files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().map(|f| f.path()).collect();
        files.sort();
        files.retain(|f| f.extension().is_some_and(|e| e == "cu"));
        if files.is_empty() {
            continue;
        }
        writeln!(out, "#[allow(missing_docs)] pub mod {folder} {{").unwrap();
        for f in files {
            file(&folder, &f, &mut out);
        }
        out += "}\n";
    }
    std::fs::write(Path::new(&std::env::var("OUT_DIR").unwrap()).join("kernels.rs"), out).unwrap();
}

fn file(folder: &str, path: &Path, out: &mut String) {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let src = std::fs::read_to_string(path).unwrap();
    if stem != folder {
        writeln!(out, "#[allow(missing_docs)] pub mod {stem} {{").unwrap();
    }
    *out += "#[allow(unused_imports)] use crate::device::{driver::{Arg, Ptr, PtrMut}, kernels::{Entry, Launch, Module}};\n";
    writeln!(out, "#[allow(missing_docs)] pub static MODULE: Module = Module {{ file: \"{folder}/{stem}.cu\", source: \"\", images: &[] }};").unwrap();
    for l in src.lines().filter(|l| l.starts_with("constexpr int") && l.trim_end().ends_with("// host")) {
        let (name, value) = l["constexpr int ".len()..].split_once(';').unwrap().0.split_once('=').unwrap();
        writeln!(out, "#[allow(missing_docs)] pub const {}: i32 = {};", name.trim(), value.trim()).unwrap();
    }
    for part in src.split("extern \"C\" __global__").skip(1) {
        let sig = &part[..part.find('{').unwrap()];
        let close = sig.rfind(')').unwrap();
        let open = sig.rfind('(').unwrap();
        let name = sig[..open].split_whitespace().last().unwrap();
        let camel: String = name.split('_').map(|w| w[..1].to_uppercase() + &w[1..]).collect();
        let (mut fields, mut args) = (String::new(), String::new());
        for p in sig[open + 1..close].split(',') {
            let p = p.replace("__restrict__", "").replace('*', " * ");
            let w: Vec<_> = p.split_whitespace().collect();
            let id = *w.last().unwrap();
            let base =
                w.iter().find(|x| !["const", "*", "unsigned"].contains(x) || **x == "unsigned").unwrap();
            let ty = match *base {
                "float" => "f32",
                "int" => "i32",
                "unsigned" if w.contains(&"char") => "u8",
                "unsigned" if w.contains(&"long") => "u64",
                "unsigned" => "u32",
                "double" => "f64",
                o => panic!("{o}"),
            };
            let ty = if w.contains(&"*") {
                if w[0] == "const" { format!("Ptr<{ty}>") } else { format!("PtrMut<{ty}>") }
            } else {
                ty.into()
            };
            write!(fields, "#[allow(missing_docs)] pub {id}: {ty},").unwrap();
            write!(args, "self.{id}.into(),").unwrap();
        }
        writeln!(out, "#[allow(missing_docs)] pub struct {camel} {{ {fields} }}\nimpl Launch for {camel} {{ const ENTRY: &'static Entry = &Entry {{ name: \"{name}\", module: &MODULE, resources: &[] }}; fn args(&self) -> Vec<Arg> {{ vec![{args}] }} }}").unwrap();
    }
    if stem != folder {
        *out += "}\n";
    }
}
