//! What every driver function begins and ends with.

use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cudarc::driver::sys::{CUresult, CUstream};

use crate::context;
use crate::driver::{self, Driver};
use crate::error::{Error, Result};
use crate::handle::Id;
use crate::queue::WorkId;
use crate::report;
use crate::work::Work;

/// A place that a function writes a result to; null if the program wants none.
pub type Out<'a, T> = Option<&'a mut MaybeUninit<T>>;

/// Writes a result that the program must want.
pub(crate) fn put<T>(out: Out<'_, T>, value: T) -> Result {
    match out {
        Some(out) => {
            out.write(value);
            Ok(())
        }
        None => Err(Error::value("the place for the result is null")),
    }
}

/// Writes a result that the program may want.
pub(crate) fn offer<T>(out: Out<'_, T>, value: T) {
    if let Some(out) = out {
        out.write(value);
    }
}

/// A function that may be called at any time.
pub(crate) fn anytime(name: &'static str, body: impl FnOnce() -> Result) -> CUresult {
    // A panic may not cross into the program; what it was about is on stderr.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => CUresult::CUDA_SUCCESS,
        Ok(Err(Error { code, why, is_misuse })) => {
            match (is_misuse, why.is_empty()) {
                (true, _) => report::misuse(name, &why),
                (false, false) => report::say(&format!("{name}: {code:?}: {why}")),
                (false, true) => {}
            }
            code
        }
        Err(_) => CUresult::CUDA_ERROR_UNKNOWN,
    }
}

/// A function that may be called once the driver is started.
pub(crate) fn started(name: &'static str, body: impl FnOnce(&'static Driver) -> Result) -> CUresult {
    anytime(name, || body(driver::started()?))
}

/// A function that works in the thread's current context.
pub(crate) fn inside(name: &'static str, body: impl FnOnce(&Call) -> Result) -> CUresult {
    started(name, |driver| {
        let context = context::current().ok_or_else(context::none_is_current)?;
        let call = Call { name, driver, context };
        call.expect_healthy()?;
        body(&call)
    })
}

/// A call in a context.
pub(crate) struct Call {
    /// The function's name.
    pub name: &'static str,
    pub driver: &'static Driver,
    pub context: Id,
}

impl Call {
    /// The error of a kernel or copy that failed in this context, if one did.
    pub fn expect_healthy(&self) -> Result {
        let state = self.driver.state();
        match state.contexts.get(self.context) {
            Ok(context) => context.failed.map_or(Ok(()), |code| Err(code.into())),
            Err(error) => Err(Error::new(CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED, error.why)),
        }
    }

    /// The GPU of the context.
    pub fn device(&self) -> Result<usize> {
        Ok(self.driver.state().contexts.get(self.context)?.device)
    }

    /// The stream that a handle means.
    pub fn stream(&self, handle: CUstream) -> Result<Id> {
        self.driver.state().stream(self.context, handle)
    }

    /// Queues work in a stream; none if it is recorded instead.
    pub fn submit(&self, stream: Id, work: Work) -> Result<Option<WorkId>> {
        self.driver.submit(stream, self.name, work)
    }

    /// Waits for work; the error is that of whatever failed in the context.
    pub fn wait(&self, targets: &[WorkId]) -> Result {
        self.driver.finish(targets);
        self.expect_healthy()
    }

    /// Fails as not ready unless the work is done. What is not done yet is done now: a program that asks
    /// until it is done goes on.
    pub fn query(&self, targets: &[WorkId]) -> Result {
        let is_done = {
            let state = self.driver.state();
            targets.iter().all(|target| state.queue.is_done(*target))
        };
        if is_done {
            return Ok(());
        }
        self.wait(targets)?;
        Err(CUresult::CUDA_ERROR_NOT_READY.into())
    }
}
