//! Functions that a toolkit provides and no PTX defines: `vprintf`, `__assertfail`, `malloc`, `free`. Any
//! other function that is declared and not defined is a fault where it is called.

use crate::fault::{Fault, FaultKind};
use crate::lower::{HostCall, HostValue};
use crate::machine::context::Context;
use crate::machine::kernel::{Action, Flow};
use crate::machine::lanes;
use crate::machine::print::{Arguments, format};
use crate::memory::resolve_generic;
use crate::types::Space;

/// Longest text that is read from a kernel's memory.
const MAX_TEXT: usize = 1 << 16;

/// The action of a call of `name`; an error if it is a function of the toolkit and the call is no such call.
pub(crate) fn call(name: &str, call: &HostCall) -> Result<Action, String> {
    let check = |arguments: usize, returns: usize| {
        if (call.arguments.len(), call.returns.len()) == (arguments, returns) {
            return Ok(());
        }
        Err(format!("`{name}` takes {arguments} arguments and returns {returns}"))
    };
    let (arguments, returns) = (call.arguments.clone(), call.returns.clone());
    Ok(match name {
        "vprintf" => {
            check(2, 1)?;
            Box::new(move |ctx| {
                for lane in lanes(ctx.active) {
                    let printed = print(ctx, lane, arguments[0], arguments[1])?;
                    give(ctx, lane, returns[0], printed)?;
                }
                Ok(Flow::Next)
            })
        }
        "__assertfail" => {
            check(5, 0)?;
            Box::new(move |ctx| Err(failed_assertion(ctx, &arguments)?))
        }
        "malloc" => {
            check(1, 1)?;
            Box::new(move |ctx| {
                for lane in lanes(ctx.active) {
                    let bytes = value(ctx, lane, arguments[0])?;
                    let address = ctx.launch.global.heap.allocate(bytes);
                    let address = address.map_err(|detail| ctx.fault(lane, FaultKind::Misuse { detail }))?;
                    give(ctx, lane, returns[0], address)?;
                }
                Ok(Flow::Next)
            })
        }
        "free" => {
            check(1, 0)?;
            Box::new(move |ctx| {
                for lane in lanes(ctx.active) {
                    let address = value(ctx, lane, arguments[0])?;
                    let freed = ctx.launch.global.heap.free(address);
                    freed.map_err(|detail| ctx.fault(lane, FaultKind::Misuse { detail }))?;
                }
                Ok(Flow::Next)
            })
        }
        _ => {
            let name = name.to_owned();
            Box::new(move |ctx| {
                Err(ctx.fault(ctx.leader(), FaultKind::UndefinedFunction { name: name.clone() }))
            })
        }
    })
}

/// The value of one argument of `lane`.
fn value(ctx: &Context<'_>, lane: usize, argument: HostValue) -> Result<u64, Box<Fault>> {
    match argument {
        HostValue::Register(slot) => Ok(ctx.get_bits(slot)[lane]),
        HostValue::Local { address, bytes } => ctx.peek_word(lane, Space::Local, address, bytes),
    }
}

/// Return `value` to `lane`.
fn give(ctx: &mut Context<'_>, lane: usize, to: HostValue, value: u64) -> Result<(), Box<Fault>> {
    let all = std::mem::replace(&mut ctx.active, 1 << lane);
    let given = match to {
        HostValue::Register(slot) => {
            ctx.put_bits(slot, |_| value);
            Ok(())
        }
        HostValue::Local { address, bytes } => {
            let data = [[value as u32; 32], [(value >> 32) as u32; 32]];
            ctx.store(Space::Local, &[address; 32], bytes, &data)
        }
    };
    ctx.active = all;
    given
}

/// The arguments of a `vprintf`, side by side in memory.
struct Varargs<'c, 'a> {
    ctx: &'c Context<'a>,
    lane: usize,
    address: u64,
}

impl Arguments for Varargs<'_, '_> {
    type Error = Box<Fault>;

    fn next(&mut self, bytes: usize) -> Result<u64, Box<Fault>> {
        let at = self.address.next_multiple_of(bytes as u64);
        self.address = at + bytes as u64;
        let (space, at) = resolve_generic(at);
        self.ctx.peek_word(self.lane, space, at, bytes)
    }

    fn text(&mut self, address: u64) -> Result<Vec<u8>, Box<Fault>> {
        text(self.ctx, self.lane, address)
    }
}

/// The text at a generic address, up to its NUL.
fn text(ctx: &Context<'_>, lane: usize, address: u64) -> Result<Vec<u8>, Box<Fault>> {
    let (space, start) = resolve_generic(address);
    let mut out = Vec::new();
    while out.len() < MAX_TEXT {
        match ctx.peek_word(lane, space, start + out.len() as u64, 1)? {
            0 => break,
            byte => out.push(byte as u8),
        }
    }
    Ok(out)
}

/// Print for `lane`; returns what `printf` returns.
fn print(ctx: &Context<'_>, lane: usize, template: HostValue, list: HostValue) -> Result<u64, Box<Fault>> {
    let template = text(ctx, lane, value(ctx, lane, template)?)?;
    let address = value(ctx, lane, list)?;
    let printed = format(&template, &mut Varargs { ctx, lane, address })?;
    let block = ctx.launch.linear_block(ctx.blocks[ctx.rank].index);
    Ok(if ctx.launch.printed.add(block, &printed) { printed.len() as u64 } else { u64::MAX })
}

fn failed_assertion(ctx: &Context<'_>, arguments: &[HostValue]) -> Result<Box<Fault>, Box<Fault>> {
    let lane = ctx.leader();
    let words = |argument: usize| -> Result<String, Box<Fault>> {
        match value(ctx, lane, arguments[argument])? {
            0 => Ok("?".to_owned()),
            address => Ok(String::from_utf8_lossy(&text(ctx, lane, address)?).into_owned()),
        }
    };
    let kind = FaultKind::AssertionFailed {
        message: words(0)?,
        file: words(1)?,
        line: value(ctx, lane, arguments[2])? as u32,
        function: words(3)?,
    };
    Ok(ctx.fault(lane, kind))
}
