#!/bin/sh
# sh infra/gpu/run.sh STAGE …, on the machine with the GPU: unpacks the bundle once all of its parts are there, finds the libraries of CUDA and cuDNN where
# Python packages brought them, and runs the stages. See README.md.
set -eu
cd "$(dirname "$0")/../.."
home=.data/gpu

unpack() { # Reads an archive, as GNU's tar need not be there, nor xz.
	python3 -c 'import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode="r|xz").extractall(".", filter="fully_trusted")'
}
if [ ! -e $home/unpacked ]; then
	here=$(ls $home/parts/*-of-* 2>/dev/null | wc -l)
	all=$(ls $home/parts/*-of-* 2>/dev/null | sed 's/.*-of-//' | sort -u)
	if [ "$here" != "$all" ]; then
		echo "$here of ${all:-all} parts are here; bring the others"
		exit 0
	fi
	cat $home/parts/*-of-* | unpack
	touch $home/unpacked
fi
# Other graphs have other weights.
if [ -e $home/parts/graphs ] && ! cmp -s $home/parts/graphs $home/graphs; then
	rm -rf $home/models
	unpack <$home/parts/graphs
	cp $home/parts/graphs $home/graphs
fi

libraries=$(python3 - <<-'END'
	import glob, os, sys
	found = {os.path.dirname(file) for root in filter(None, sys.path) for file in glob.glob(f"{root}/nvidia/**/lib*.so*", recursive=True)}
	print(":".join(sorted(found)))
END
)
# The provider asks for libcudnn.so; the Python package has only libcudnn.so.9.
mkdir -p $home/lib
for folder in $(echo "$libraries" | tr : ' '); do
	[ ! -e "$folder/libcudnn.so.9" ] || ln -sf "$folder/libcudnn.so.9" $home/lib/libcudnn.so
done
export LD_LIBRARY_PATH="$PWD/$home/lib:$libraries:${LD_LIBRARY_PATH:-}:/usr/local/nvidia/lib64:/usr/local/nvidia/lib"
exec $home/bin/node infra/gpu/main.ts "$@"
