//! The batch core of the worker: record sets of Kafka in, audit rows of plain actions out.
//!
//! It decides nothing of its own. A *plain action* is an action event that is right at first sight, that no policy can
//! match and that is no `policy_gap`: nine of ten records, and all that follows from one is its row. Every other record
//! is left to the Python core, which stays the definition; `tests/laws` holds the two to the same rows.
//! What Python sees is documented in `stepwatch/streams/_native.pyi`.

#![forbid(unsafe_code)]

mod actions;
mod canonical;
mod chunk;
mod event;
mod json;
mod keys;
mod marks;
mod policies;
mod remembered;
mod row;
mod rows;
mod times;
mod wire;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use actions::PlainActions;
    #[pymodule_export]
    use canonical::canonical;
    #[pymodule_export]
    use chunk::{Chunk, Record, read_chunks};
    #[pymodule_export]
    use rows::{EncodedBatch, Rows};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("EVENT_BYTES_MAX", actions::EVENT_BYTES_MAX)?;
        module.add("EVENT_DEPTH_MAX", json::EVENT_DEPTH_MAX)?;
        module.add("AHEAD_MAX_US", actions::AHEAD_MAX_US)?;
        let sequence = module.py().import("collections.abc")?.getattr("Sequence")?;
        sequence.call_method1("register", (module.getattr("Chunk")?,))?;
        Ok(())
    }
}
