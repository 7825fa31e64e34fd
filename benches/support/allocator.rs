//! The allocator of a benchmark, which is that of the examples. Workers free memory that others have allocated: glibc's
//! allocator takes a lock for that, this one does not. `RUSTFLAGS='--cfg system_allocator'` keeps the system's.

#[cfg(not(system_allocator))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
