import io
import os
import tracemalloc

import numpy as np
import pytest
from numpy.lib import format as npy

from armory_skelevision.io.arrays import read_array
from armory_skelevision.validation import InvalidValueError, MissingFileError

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def saved(array, **kwargs):
    stream = io.BytesIO()
    np.save(stream, array, **kwargs)
    return stream.getvalue()


def claims(shape, descr="<f4", data=b""):
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"shape": shape, "fortran_order": False, "descr": descr})
    return stream.getvalue() + data


@pytest.mark.parametrize("array", [VALUES, np.asfortranarray(VALUES), VALUES.astype(">f8"), np.float16(3), VALUES[:0]])
def test_arrays_come_back_as_they_were(tmp_path, array):
    (tmp_path / "a.npy").write_bytes(saved(array))
    read = read_array(tmp_path / "a.npy")
    np.testing.assert_array_equal(read, array)
    assert read.dtype == np.asarray(array).dtype


BAD = {
    "112 GB": claims((30_000_000_000,)),
    "more than any integer": claims((2**62, 2**62)),
    "negative": claims((-1, -6), data=b"x" * 24),
    "too short": saved(VALUES)[:-1],
    "too long": saved(VALUES) + b"x",
    "objects": saved(np.array([{"a": 1}], dtype=object), allow_pickle=True),
    "text": saved(np.array(["a"])),
    "records": saved(np.zeros(2, dtype=[("a", "f4")])),
    "nothing": b"",
    "magic only": npy.magic(1, 0),
    "later version": npy.magic(9, 0) + saved(VALUES)[8:],
    "nested header": npy.magic(1, 0) + (9000).to_bytes(2, "little") + b"(" * 9000,
    "code in the header": npy.magic(1, 0) + (30).to_bytes(2, "little") + b"__import__('os').getcwd()     ",
    "zip": b"PK\x03\x04",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_anything_else_is_refused_by_name_without_much_memory(tmp_path, data):
    path = tmp_path / "a.npy"
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(InvalidValueError) as caught:
        read_array(path)
    assert caught.value.key == str(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_pipes_missing_and_large_files_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(InvalidValueError):
        read_array(tmp_path / "pipe.npy")
    with pytest.raises(MissingFileError):
        read_array(tmp_path / "none.npy")
    (tmp_path / "a.npy").write_bytes(saved(VALUES))
    with pytest.raises(InvalidValueError) as caught:
        read_array(tmp_path / "a.npy", max_bytes=100)
    assert caught.value.expected == "at most 100 bytes"
