# Sourced from the project's root: puts the pinned Bun on PATH, installed into .tools/ where the
# machine has another one or none, and installs the packages of the lockfile.
wanted=$(sed -n 's/.*"packageManager": "bun@\(.*\)".*/\1/p' package.json)

if [ "$(bun --version 2>/dev/null)" != "$wanted" ]; then
  tools="$PWD/.tools/bun-$wanted"
  if [ ! -x "$tools/bin/bun" ]; then
    echo "Installing Bun $wanted into .tools/" >&2
    npm install --loglevel=error --no-audit --no-fund --no-save --ignore-scripts --prefix "$tools" "bun@$wanted" >&2
    # The package's own command is put in place by an install script; the binary lies beside it.
    mkdir -p "$tools/bin"
    for binary in "$tools"/node_modules/@oven/bun-*/bin/bun; do
      if "$binary" --version >/dev/null 2>&1; then ln -sf "$binary" "$tools/bin/bun"; fi
    done
    ln -sf bun "$tools/bin/bunx"
  fi
  PATH="$tools/bin:$PATH"
  export PATH
fi

# The lockfile is compared with what is installed only when it changed since.
if [ ! -e node_modules/.installed ] || [ bun.lock -nt node_modules/.installed ]; then
  bun install --frozen-lockfile --ignore-scripts >&2
  touch node_modules/.installed
fi
