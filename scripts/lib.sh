# Functions that the scripts share.
# shellcheck disable=SC2154 # the script sets $root, the folder of the clone

say() { printf '== %s\n' "$*"; }

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# need_go wants the Go that go.mod asks for. Go itself fetches a newer toolchain
# where it may, so ask it inside the module.
need_go() {
	command -v go >/dev/null || die "Go is not installed (1.26.5 or newer): https://go.dev/doc/install"
	local version
	version=$(cd "$root" && go env GOVERSION) || die "this Go cannot build goblip, which needs 1.26.5 or newer: https://go.dev/doc/install"
	case $version in
	go1.2[6-9]* | go1.[3-9][0-9]* | go[2-9]*) ;;
	*) die "found $version, goblip needs Go 1.26.5 or newer: https://go.dev/doc/install" ;;
	esac
}

# need_c_compiler: cgo binds the XLA plugin.
need_c_compiler() {
	local cc
	cc=$(go env CC)
	# shellcheck disable=SC2086 # CC may hold arguments
	set -- $cc
	command -v "$1" >/dev/null ||
		die "no C compiler ($1), which cgo needs; try: sudo apt install gcc, sudo dnf install gcc, or xcode-select --install"
}

# build_goblip does without the version of the clone: asking git for it fails in
# a folder of another owner, as in many containers.
build_goblip() { (cd "$root" && CGO_ENABLED=1 go build -buildvcs=false -o bin/goblip ./cmd/goblip); }

# has_plugin tells whether goblip computes with XLA.
has_plugin() {
	local found
	found=$("$root/bin/goblip" doctor --json) || exit 1 # it said why
	case $found in
	*'"kind": "go"'*) return 1 ;;
	esac
}

# get_go_tools FOLDER PROGRAM@VERSION... builds programs into a folder under the user's cache, and prints it. A module
# of their own keeps them out of go.mod; "go install" wants a list of versions, which not every module proxy serves.
get_go_tools() {
	local folder=${XDG_CACHE_HOME:-$HOME/.cache}/goblip/tools/$1 scratch program programs=() built=1
	shift
	for program in "$@"; do
		programs+=("${program%@*}")
		[ -x "$folder/$(basename "${program%@*}")" ] || built=
	done
	if [ -z "$built" ]; then
		scratch=$(mktemp -d)
		(
			cd "$scratch" && go mod init scratch &&
				for program in "$@"; do go get -tool "$program" || exit; done &&
				mkdir bin && go build -o bin/ "${programs[@]}" &&
				mkdir -p "$folder" && mv bin/* "$folder/"
		) >"$scratch/log" 2>&1 || {
			tail -n 3 "$scratch/log" >&2
			rm -rf "$scratch"
			return 1
		}
		rm -rf "$scratch"
	fi
	printf '%s\n' "$folder"
}
