//! What cannot be loaded is an error that says what and where, never a panic.

mod common;

use ptxsim::{Arg, Error, Launch, Module, ParseError};

fn error(body: &str) -> ParseError {
    match common::module(body) {
        Err(error) => error,
        Ok(_) => panic!("loads: {body}"),
    }
}

#[test]
fn unknown_opcodes_and_modifiers_are_named_with_their_line() {
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64
.visible .entry test() { .reg .b32 %r<2>;
.loc 2 31 7
frobnicate.u32 %r1, 1;
}
.file 2 \"/kernels/x.cu\"";
    let found = common::load(ptx).err().unwrap();
    assert_eq!((found.ptx_line, found.source.as_deref()), (6, Some("kernels/x.cu:31")));
    assert!(found.message.contains("`frobnicate`"), "{found}");
    let found = error("add.weird.s32 %r1, %r1, %r2;");
    assert!(found.message.contains("`.weird`") && found.message.contains("add.weird.s32"), "{found}");
    assert!(error("setp.sideways.s32 %p1, %r1, %r2;").message.contains("needs a comparison"));
}

#[test]
fn directives_end_where_they_end_and_not_with_their_line() {
    for header in [
        ".version 8.0\n.target sm_80\n",
        ".version 8.0 .target sm_90a, debug .address_size 64 ",
        ".version 8.0\n.target sm_80\n.pragma \"nounroll\"; ",
    ] {
        let body = ".visible .entry test() { .pragma \"nounroll\"; .reg .b32 %r<2>; mov.u32 %r1, 1; ret; }";
        let module = Module::parse(&format!("{header}{body}")).unwrap_or_else(|e| panic!("{header}: {e}"));
        assert!(module.entry("test").is_ok(), "{header}");
        assert!(module.target().starts_with("sm_"), "{header}");
    }
    let narrow = Module::parse(".version 8.0\n.target sm_80\n.address_size 32").err().unwrap();
    assert!(narrow.message.contains("32 bits"), "{narrow}");
}

#[test]
fn operands_are_checked_while_loading() {
    for (body, part) in [
        ("add.s32 %r1, %r2;", "too few operands"),
        ("add.s32 %r1, %r2, %r3, %r4;", "1 operands too many"),
        ("add.s32 %r1, %rd2, %r3;", "64 bits where 32"),
        ("add.s64 %r1, %rd2, %rd3;", "64 bits is needed"),
        ("add.s32 %r99, %r2, %r3;", "beyond the 30"),
        ("mov.u32 %r1, nowhere;", "unknown name `nowhere`"),
        ("bra NOWHERE;", "no label"),
        ("@%r1 bra L; L: ret;", "no predicate"),
        ("ld.shared.v3.u32 {%r1, %r2, %r3}, [%in];", "`.v3`"),
        ("ld.global.v2.u32 {%r1, %r2, %r3}, [%in];", "3 destinations for 2"),
        ("call missing, ();", "does not define"),
        (".shared .align 3 .b8 x[4];", "alignment 3"),
        ("mov.u32 %r1, %tid.w;", "%tid.w"),
    ] {
        let found = error(body);
        assert!(found.message.contains(part), "{body}: {found}");
    }
}

#[test]
fn what_an_entry_does_not_reach_does_not_refuse_it() {
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64
        .func lost() { frobnicate.u32; ret; }
        .func garbled() { .weird directive { x }; ( }
        .visible .entry broken(.param .u32 count) { call lost, (); ret; }
        .visible .entry unreadable() { call garbled, (); ret; }
        .visible .entry whole(.param .u64 out) { .reg .b64 %a; ld.param.u64 %a, [out]; st.global.u32 [%a], 5; ret; }";
    let module = Module::parse(ptx).unwrap();
    let device = common::device();
    let out = common::upload(&device, &[0]);
    device.launch(&module, "whole", &Launch::linear(1, 1), &[Arg::U64(out)]).unwrap();
    assert_eq!(common::download(&device, out, 1), [5]);
    let broken = module.entry("broken").unwrap();
    assert_eq!((broken.param_bytes(), broken.static_shared_bytes()), (4, 0));
    assert_eq!(broken.refusal().unwrap().ptx_line, 4);
    for (entry, args, part) in [("broken", &[Arg::U32(1)][..], "frobnicate"), ("unreadable", &[], "`.weird`")]
    {
        let error = device.launch(&module, entry, &Launch::linear(1, 1), args).unwrap_err();
        assert!(matches!(error, Error::Parse(_)) && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn recursion_is_refused() {
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64
        .func f() { call f, (); ret; }
        .visible .entry test() { call f, (); ret; }";
    assert!(common::load(ptx).err().unwrap().message.contains("recursive"));
}

#[test]
fn deep_nesting_is_refused() {
    let deep = |open: &str, close: &str| format!("mov.u32 %r1, {}{};", open.repeat(5000), close.repeat(5000));
    for body in [deep("{", "}"), deep("!", ""), deep("(", ")"), "{".repeat(5000)] {
        assert!(error(&body).message.contains("nested"), "{:.40}", body);
    }
}

#[test]
fn modules_and_devices_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Module>();
    shared::<ptxsim::Device>();
    shared::<ptxsim::Error>();
}

#[test]
fn memory_that_no_machine_has_is_refused() {
    for (body, part) in [
        (".local .align 4 .b8 frame[600000]; mov.u64 %rd1, frame;", "does not fit any GPU"),
        (".shared .align 4 .b8 tile[99999999]; mov.u32 %r1, tile;", "does not fit any GPU"),
    ] {
        assert!(error(body).message.contains(part), "{body}");
    }
    let variable = |bytes: u64| {
        Module::parse(&format!(".version 8.0 .target sm_80 .global .b8 a[{bytes}]; .const .b8 b[9];"))
    };
    assert!(variable(1 << 20).is_ok());
    assert!(variable(1 << 30).err().unwrap().message.contains("`b` makes more than"));
    let device = common::device();
    assert!(matches!(device.alloc(1 << 38), Err(ptxsim::Error::Memory(_))));
    assert!(matches!(device.alloc(1 << 40), Err(ptxsim::Error::Memory(_))));
}

/// A table that every block of the call's chain doubles, then many atomics whose results may be read.
#[test]
fn large_kernels_load_in_linear_time() {
    let start = std::time::Instant::now();
    let atomics = "atom.global.add.u32 %r1, [%in], 1;\n".repeat(50_000);
    let branches: String =
        (0..20_000).map(|i| format!("@%p1 bra L{i}; add.u32 %r2, %r2, 1; L{i}:\n")).collect();
    common::module(&format!("mov.u32 %r2, 0; setp.eq.u32 %p1, %t, 0; {atomics}{branches}")).unwrap();
    let calls: String =
        (0..30).map(|i| format!(".func f{} () {{ call f{i}, (); call f{i}, (); ret; }}\n", i + 1)).collect();
    let ptx = format!(
        ".version 8.0 .target sm_80 .address_size 64 .func f0 () {{ ret; }}\n{calls}
        .visible .entry test() {{ call f30, (); ret; }}"
    );
    assert!(common::load(&ptx).err().unwrap().message.contains("1048576 instructions"));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
