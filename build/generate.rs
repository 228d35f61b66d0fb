//! Writes the compiled images, and the Rust code through which the crate reaches them.

use super::compile::{Compiled, Image, ImageKind};
use super::kernel_file::KernelFile;
use super::signature::{Constant, Entry};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A module of the generated code: its own items, and the modules in it.
#[derive(Default)]
struct Module {
    items: String,
    modules: BTreeMap<String, Module>,
}

/// Writes kernels.rs and the images it embeds into `out`.
///
/// # Errors
/// What cannot be written, or two files that would be one module.
pub fn write(
    out: &Path,
    files: &[KernelFile],
    compiled: &[Compiled],
    missing: Option<&str>,
) -> Result<(), String> {
    let mut root = Module::default();
    let mut all = String::new();
    for (file, compiled) in files.iter().zip(compiled) {
        write_images(out, file, compiled)?;
        let path = file.module();
        let module =
            path.iter().fold(&mut root, |module, name| module.modules.entry((*name).into()).or_default());
        if !module.items.is_empty() {
            return Err(format!("kernels/{}: another file has the module {}", file.name, path.join("::")));
        }
        module.items = items(file, compiled);
        for entry in &file.signature.entries {
            all += &format!("    <{}::{} as Launch>::ENTRY,\n", path.join("::"), structure(entry));
        }
    }
    let code = format!(
        "/// Why this build has no compiled kernels, and what to do about it, if it has none.\n\
         pub const NVRTC_MISSING: Option<&str> = {missing:?};\n\n\
         /// All kernels, in the order of their files.\n\
         pub static ALL: &[&Entry] = &[\n{all}];\n{}",
        module_code("", &root)
    );
    write_file(&out.join("kernels.rs"), code.as_bytes())
}

fn write_images(out: &Path, file: &KernelFile, compiled: &Compiled) -> Result<(), String> {
    for image in &compiled.images {
        write_file(&out.join(image_name(file, image)), &image.gz)?;
    }
    Ok(())
}

/// The image's file under OUT_DIR: `kernels/relu/relu.sm_80.cubin.gz`.
fn image_name(file: &KernelFile, image: &Image) -> String {
    let kind = match image.kind {
        ImageKind::Cubin | ImageKind::CubinExact => "cubin",
        ImageKind::Ptx => "ptx",
        ImageKind::SimulatorPtx => "simulator.ptx",
    };
    format!("kernels/{}.{}.{kind}.gz", file.name.trim_end_matches(".cu"), image.arch)
}

fn module_code(path: &str, module: &Module) -> String {
    let mut code = module.items.clone();
    for (name, inner) in &module.modules {
        let path = format!("{path}{name}/");
        let inner = module_code(&path, inner);
        code += &format!(
            "\n/// Kernels of `kernels/{}`.\npub mod {name} {{\n{inner}}}\n",
            path.trim_end_matches('/')
        );
    }
    code
}

/// What a kernel file becomes: its module, its constants, a structure for each entry point.
fn items(file: &KernelFile, compiled: &Compiled) -> String {
    let name = &file.name;
    let images = compiled.images.iter().map(|image| {
        format!(
            "        Image {{ kind: ImageKind::{:?}, arch: {}, \
             gz: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{}\")) }},\n",
            image.kind,
            image.arch.number,
            image_name(file, image)
        )
    });
    let headers = file.headers.keys().map(|header| {
        format!(
            "        ({header:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/kernels/{header}\"))),\n"
        )
    });
    let module = format!(
        "#[allow(unused_imports)]\n\
         use crate::device::{{driver::{{Arg, Ptr, PtrMut}}, tensor_map::TensorMap, \
         kernels::{{Entry, Image, ImageKind, Launch, Module, Param, Resources}}}};\n\n\
         /// `kernels/{name}`, compiled.\n\
         pub static MODULE: Module = Module {{\n    file: \"{name}\",\n    \
         source: include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/kernels/{name}\")),\n    \
         headers: &[\n{}    ],\n    images: &[\n{}    ],\n}};\n",
        headers.collect::<String>(),
        images.collect::<String>()
    );
    let constants = file.signature.constants.iter().map(constant);
    let entries = file.signature.entries.iter().map(|entry| structure_code(entry, compiled));
    module + &constants.chain(entries).collect::<String>()
}

fn constant(Constant { name, value, note }: &Constant) -> String {
    let doc = if note.is_empty() { format!("`{name}` of the kernel file.") } else { note.clone() };
    format!("#[doc = {doc:?}]\npub const {name}: i32 = {value};\n")
}

fn structure_code(entry: &Entry, compiled: &Compiled) -> String {
    let Entry { name, params, summary, equation } = entry;
    let camel = structure(entry);
    let constant = name.to_uppercase();
    let join = |lines: Vec<String>| lines.concat();
    let fields = join(
        params
            .iter()
            .map(|p| format!("    /// `{} {}`\n    pub {}: {},\n", p.c_type, p.name, p.name, p.rust_type))
            .collect(),
    );
    let args = join(params.iter().map(|p| format!("self.{}.into(), ", p.name)).collect());
    let descriptions = join(
        params
            .iter()
            .map(|p| format!("        Param {{ name: {:?}, c_type: {:?} }},\n", p.name, p.c_type))
            .collect(),
    );
    let resources = compiled.resources.get(name).map_or(&[][..], Vec::as_slice);
    let resources = join(
        resources
            .iter()
            .map(|(arch, used)| {
                format!(
                    "        Resources {{ arch: {}, registers: {}, shared_bytes: {}, spill_bytes: {}, \
                     stack_bytes: {}, remarks: &{:?} }},\n",
                    arch.number,
                    used.registers,
                    used.shared_bytes,
                    used.spill_bytes,
                    used.stack_bytes,
                    used.remarks
                )
            })
            .collect(),
    );
    // A kernel may name its extents N, H, W, C, as its equation does.
    let has_capitals = params.iter().any(|p| p.name.contains(char::is_uppercase));
    let allow = if has_capitals { "#[allow(non_snake_case)]\n" } else { "" };
    format!(
        "\n{}{allow}#[derive(Clone, Copy, Debug)]\npub struct {camel} {{\n{fields}}}\n\n\
         static {constant}: Entry = Entry {{\n    name: {name:?},\n    summary: {summary:?},\n    \
         equation: &{equation:?},\n    module: &MODULE,\n    params: &[\n{descriptions}    ],\n    resources: &[\n{resources}    ],\n}};\n\n\
         impl Launch for {camel} {{\n    const ENTRY: &'static Entry = &{constant};\n    \
         fn args(&self) -> Vec<Arg> {{\n        vec![{args}]\n    }}\n}}\n",
        doc(entry)
    )
}

/// The documentation of an entry point's structure: its header's summary and equation.
fn doc(entry: &Entry) -> String {
    let title = format!("`{}`: {}", entry.name, entry.summary.replace(['[', ']', '<', '>'], ""));
    let mut lines = vec![title.trim_end_matches([' ', ':']).to_string()];
    if !entry.equation.is_empty() {
        lines.extend([String::new(), "```text".into()]);
        lines.extend(entry.equation.iter().cloned());
        lines.push("```".into());
    }
    lines.iter().map(|line| format!("#[doc = {line:?}]\n")).collect()
}

/// The structure's name: `conv3x3_fprop` gives `Conv3x3Fprop`.
fn structure(entry: &Entry) -> String {
    let words = entry.name.split('_').filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// Writes `bytes` unless the file holds them already.
fn write_file(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, bytes))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}
