use memchr::memmem;

use super::random::Random;

/// Damages the record that begins at `start`, so that no decoder accepts it. It remains one line.
pub(super) fn damage(out: &mut Vec<u8>, start: usize, random: &mut Random) {
    let length = out.len() - start;
    let after = |out: &[u8], key: &[u8]| memmem::find(&out[start..], key).map(|at| start + at + key.len());
    match random.below(6) {
        0 => out.truncate(start + random.between(1, length as u64 - 1) as usize),
        1 => {
            if let Some(at) = after(out, b"\"timestamp\":\"") {
                out[at..at + 4].copy_from_slice(b"soon");
            }
        }
        2 => {
            if let Some(at) = after(out, b"\"stream_id") {
                out[at - 2..at].copy_from_slice(b"no");
            }
        }
        // This byte never occurs in UTF-8.
        3 => out[start + length / 2] = 0xFF,
        4 => out.push(b'}'),
        _ => {
            out.truncate(start);
            out.extend_from_slice(b"connection reset by peer");
        }
    }
}
