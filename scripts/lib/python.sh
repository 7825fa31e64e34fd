# shellcheck shell=bash
# Python with what analysts read by: DuckDB, PyArrow and the engine of ClickHouse, from PyPI, in an environment of its own.

python_packages=(duckdb==2.0.1 pyarrow==26.0.1 chdb-core==26.9.0)
python_home=${XDG_CACHE_HOME:-$HOME/.cache}/telemetra/python-$(IFS=+ && echo "${python_packages[*]//==/-}")

python_packages_ready() {
    [ -x "$python_home/bin/python" ]
}

# Prints the interpreter, and makes the environment if it is missing: beside its place, and moved there last.
python_path() {
    python_packages_ready || install_python
    echo "$python_home/bin/python"
}

install_python() {
    local new="$python_home.$$" log
    have python3 || fail "there is no python3; install it by: scripts/services install python"
    echo "getting ${python_packages[*]}" >&2
    mkdir -p "$(dirname "$python_home")"
    log=$(python3 -m venv "$new" 2>&1 && "$new/bin/pip" install -q --only-binary :all: "${python_packages[@]}" 2>&1) || {
        rm -rf "$new"
        fail "pip could not get ${python_packages[*]}, from PyPI or the index of pip's configuration:"$'\n'"$(tail -n 8 <<<"$log")"
    }
    mv -T "$new" "$python_home" 2>/dev/null || rm -rf "$new"
}
