"""Lists mean what they say, whatever wrote them; what cannot be understood is named with what was seen."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from storage.urls import filesystem
from tasks.ingest.check import check_entry
from tasks.ingest.entries import SourceError
from tasks.ingest.settings import Ingest
from tasks.ingest.sources import list_source, look_at_source
from tests.support.object_store import s3_bucket


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def written(folder: Path, content: str | bytes | pa.Table, name: str = "list.csv") -> str:
    path = folder / name
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


PLAIN = "uri,item,camera\na.jpg,one,theta\nb.jpg,two,\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (PLAIN, "list.csv"),
        (PLAIN, "LIST.CSV"),
        (PLAIN.encode("utf-8-sig"), "list.csv"),
        (PLAIN.encode("utf-16"), "list.csv"),
        (PLAIN.replace("\n", "\r\n"), "list.csv"),
        (PLAIN.replace(",", ";"), "list.csv"),
        (PLAIN.replace(",", "\t"), "list.csv"),
        (PLAIN.replace(",", "\t"), "list.tsv"),
        (PLAIN.replace("uri", "URI"), "list.csv"),
        (PLAIN.replace("uri,item", '"Uri ", Item'), "list.csv"),
        ("\n" + PLAIN.replace("\nb", "\n\n,,\nb") + "\n,,\n", "list.csv"),
        ("sep=;\r\n" + PLAIN.replace(",", ";"), "list.csv"),
        ('"sep=|"\n' + PLAIN.replace(",", "|"), "list.csv"),
        (("\ufeffsep=,\r\n" + PLAIN).encode(), "list.csv"),
        ("uri , item,camera\na.jpg , one,theta\n b.jpg, two,\n", "list.csv"),
        ("uri,item,camera,,\na.jpg,one,theta,,\nb.jpg,two,,,\n", "list.csv"),
        (",uri,item,camera\n0,a.jpg,one,theta\n1,b.jpg,two,\n", "list.csv"),
        ("Unnamed: 0,uri,item,camera\n3,a.jpg,one,theta\n7,b.jpg,two,\n", "list.csv"),
        ('uri,item,camera\n"a.jpg",one,"theta"\nb.jpg,two,""\n', "list.csv"),
        ('{"uri": "a.jpg", "item": "one", "camera": "theta"}\n\n{"item": "two", "uri": "b.jpg"}\n', "list.jsonl"),
        (pa.table({"uri": ["a.jpg", "b.jpg"], "item": ["one", "two"], "camera": ["theta", None]}), "list.parquet"),
        (
            pa.table(
                {
                    "uri": pa.array(["a.jpg", "b.jpg"]).dictionary_encode(),
                    "item": pa.array(["one", "two"], pa.large_string()),
                    "camera": pa.array(["theta", None]).dictionary_encode(),
                    "__index_level_0__": [4, 9],
                }
            ),
            "LIST.PARQUET",
        ),
    ],
)
def test_one_list_as_many_programs_write_it(folder: Path, content: str | bytes | pa.Table, name: str) -> None:
    entries = list_source(written(folder, content, name))
    assert [(entry.item, entry.uri, entry.metadata) for entry in entries] == [
        ("one", str(folder / "a.jpg"), {"camera": "theta"}),
        ("two", str(folder / "b.jpg"), {}),
    ]


def test_an_index_is_left_out_and_told(folder: Path) -> None:
    found = look_at_source(written(folder, ",uri\n0,a.jpg\n1,b.jpg\n"))
    assert found.notes == ("the column '' numbers the rows, as pandas does; it is no metadata",)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (pa.array([0, 5, 7]), ["0", "5", "7"]),
        (pa.array([0.0, 5.0, None]), ["0", "5", "c"]),
        (pa.array([0.0, float("nan"), 5.5]), None),
        (pa.array([Decimal("3"), Decimal("4"), None]), ["3", "4", "c"]),
        (pa.array(["", "0", None]), ["0", "a", "c"]),
        (pa.array([True, False, None]), None),
        (pa.array([datetime.date(2026, 1, 2), None, None]), None),
    ],
)
def test_ids_of_other_types(folder: Path, items: pa.Array, expected: list[str] | None) -> None:
    url = written(folder, pa.table({"uri": ["a.jpg", "b.jpg", "c.jpg"], "item": items}), "list.parquet")
    if expected is None:
        with pytest.raises(SourceError, match=r"row \d: item .* is neither text nor a whole number"):
            list_source(url)
    else:
        assert [entry.item for entry in list_source(url)] == expected


def test_numbers_that_a_missing_neighbour_made_floats(folder: Path) -> None:
    entries = list_source(written(folder, "uri,item,split\na.jpg,5.0,0.0\nb.jpg,6.0,\nc.jpg,,1.0\n"))
    assert [(entry.item, entry.split) for entry in entries] == [("5", "0"), ("6", ""), ("c", "1")]
    entries = list_source(written(folder, "uri,item\na.jpg,5.0\nb.jpg,6.0\nc.jpg,7.0\n"))
    assert [entry.item for entry in entries] == ["5.0", "6.0", "7.0"], "versions, say: nothing is missing"


@pytest.mark.parametrize(
    ("stated", "value"),
    [("70.3125", 70.3125), (" 70 ", 70.0), ("7e1", 70.0), (".5", 0.5), ("180", 180.0), ("", None)],
)
def test_text_is_a_number_where_a_number_is_meant(folder: Path, stated: str, value: float | None) -> None:
    (entry,) = list_source(written(folder, f"uri,Vertical_Degrees\na.jpg,{stated}\n"))
    assert entry.metadata == ({} if value is None else {"vertical_degrees": value})
    assert not entry.problem


@pytest.mark.parametrize(
    "stated", ['"70,3125"', "70.3°", "nan", "inf", "0", "-70", "181", "yes", "7_0", "0x46", "70 deg", "2026-01-02", "٧٠"]
)
def test_what_is_no_number_is_named_and_costs_its_item_only(folder: Path, stated: str) -> None:
    Image.fromarray(np.zeros((64, 128, 3), np.uint8)).save(folder / "b.jpg")
    first, second = list_source(written(folder, f"uri,vertical_degrees\na.jpg,{stated}\nb.jpg,\n"))
    item = check_entry(first, Ingest())
    assert item.reason.startswith(f"row 1 (line 2): vertical_degrees {stated.strip(chr(34))!r} ")
    assert (item.digest, item.metadata) == ("", {"vertical_degrees": stated.strip('"')}), "read again once it is mended"
    assert second.problem == ""
    assert "vertical_degrees" not in check_entry(second, Ingest()).reason


@pytest.mark.parametrize(
    "values", [pa.array([True, False]), pa.array([0.0, 200.0]), pa.array([[1.0], [2.0]]), pa.array(["wide", "x"])]
)
def test_types_that_are_no_number_are_named(folder: Path, values: pa.Array) -> None:
    entries = list_source(written(folder, pa.table({"uri": ["a.jpg", "b.jpg"], "vertical_degrees": values}), "list.parquet"))
    assert all(entry.problem.startswith(f"row {number}: vertical_degrees ") for number, entry in enumerate(entries, 1))


def test_typed_metadata_keep_their_meaning(folder: Path) -> None:
    row = {
        "zero": 0,
        "none": None,
        "empty": "",
        "no": False,
        "price": Decimal("1.50"),
        "count": Decimal("2"),
        "day": datetime.date(2026, 1, 2),
        "pose": {"yaw": 1.5, "tags": ["x", None]},
        "gap": float("nan"),
    }
    table = pa.Table.from_pylist([{"uri": "a.jpg", **row}])
    (entry,) = list_source(written(folder, table, "list.parquet"))
    assert entry.metadata == {
        "zero": 0,
        "no": False,
        "price": 1.5,
        "count": 2,
        "day": "2026-01-02",
        "pose": {"yaw": 1.5, "tags": ["x", None]},
    }


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        ("uri,x,x\na.jpg,1,2\n", "list.csv", "two columns of the name 'x'"),
        ("uri,URI\na.jpg,b.jpg\n", "list.csv", "two columns of the name 'uri'"),
        ("path\na.jpg\n", "list.csv", "row 1 has no `uri`; .* (it has 'path')"),
        ("uri,item\na.jpg,one,three\n", "list.csv", "row 1 (line 2) has 3 values and the header 2"),
        ("uri,item\na.jpg,one\nb.jpg\n", "list.csv", "row 2 (line 3) has 1 values and the header 2"),
        ('uri,item\n"a.jpg,one\nb.jpg,two\n', "list.csv", "cannot be read as a list"),
        ("uri,,x\na.jpg,seen,1\n", "list.csv", "column 2 has no name and holds 'seen'"),
        ("uri,item\ngröße.jpg,one\n".encode("latin-1"), "list.csv", "is not UTF-8 text (byte 0xf6 in line 2)"),
        (PLAIN.encode("utf-16-le"), "list.csv", "NUL bytes"),
        ("uri,item\n", "list.csv", "the list has no rows"),
        ("", "list.csv", "the list has no rows"),
        ("uri,item\n,one\n", "list.csv", "row 1 (line 2) has no `uri`"),
        ("[]", "list.json", "lists of this kind are not read; save it as one of .csv"),
        ("PK", "list.xlsx", "lists of this kind are not read"),
        ('{"uri": "a.jpg", "x": 1, "x": 2}\n', "list.jsonl", "row 1 (line 1) has the key 'x' twice"),
        ('{"uri": "a.jpg"}\n[1]\n', "list.jsonl", "row 2 (line 2) is no JSON object"),
        ('{"uri": "a.jpg"\n', "list.jsonl", "row 1 (line 1) is not valid JSON"),
        ('{"uri": "a.jpg", "item": 1e999}\n', "list.jsonl", "item inf is neither text nor a whole number"),
        ('{"uri": "a.jpg", "x": ' + "9" * 5000 + "}\n", "list.jsonl", "row 1 (line 1) is not valid JSON"),
        ("uri\na\\b.jpg\n", "list.csv", "with / between folders"),
        (pa.table({"uri": [1]}), "list.parquet", "row 1: uri '1' must be a path or URL"),
        (pa.table({"uri": [None]}, schema=pa.schema([("uri", pa.string())])), "list.parquet", "row 1 has no `uri`"),
    ],
)
def test_what_cannot_be_understood_is_named(folder: Path, content: str | bytes | pa.Table, name: str, told: str) -> None:
    pattern = re.escape(told).replace(r"\.\*", ".*")
    with pytest.raises(SourceError, match=pattern):
        list_source(written(folder, content, name))


def test_quoted_line_ends_and_separators_belong_to_a_value(folder: Path) -> None:
    first, second = list_source(written(folder, 'uri,note,item\r\na.jpg,"two\r\nlines, one comma",one\r\nb.jpg,"""x""",two\r\n'))
    assert first.metadata == {"note": "two\r\nlines, one comma"}
    assert second.metadata == {"note": '"x"'}


def test_files_elsewhere_may_be_named_where_they_are_allowed(tmp_path: Path) -> None:
    for place in ("lists", "data", "database"):
        (tmp_path / place).mkdir()
    for place in ("data", "database"):
        (tmp_path / place / "x.jpg").write_bytes(b"x")
    data = tmp_path / "data"
    url = written(tmp_path / "lists", f"uri\n{data}/x.jpg\n")
    with pytest.raises(SourceError) as caught:
        list_source(url)
    assert f"--set 'source.allow=[{data}]'" in str(caught.value)
    assert f"`allow: [{data}]` under `source:`" in str(caught.value)
    for allow in (str(data), f"{data}/", f"file://{data}", str(tmp_path)):
        assert [entry.uri for entry in list_source(url, [allow])] == [f"{data}/x.jpg"]
    elsewhere = written(tmp_path / "lists", f"uri\n{data}/../database/x.jpg\n", "other.csv")
    with pytest.raises(SourceError, match=r"leads out of .*/database/x\.jpg"):
        list_source(elsewhere, [str(data)])
    (data / "link.jpg").symlink_to(tmp_path / "database" / "x.jpg")
    with pytest.raises(SourceError, match="leads out of"):
        list_source(written(tmp_path / "lists", f"uri\n{data}/link.jpg\n", "third.csv"), [str(data)])
    assert list_source(written(tmp_path / "lists", f"uri\n{data}/link.jpg\n", "third.csv"), [str(data), f"{data}base"])


def test_a_file_that_is_not_there_costs_its_item_until_it_is(folder: Path) -> None:
    url = written(folder, "uri\na.jpg\ngone.jpg\n")
    there, gone = list_source(url)
    assert (there.problem, check_entry(gone, Ingest()).reason) == ("", "there is no such file")
    (folder / "gone.jpg").write_bytes(b"here")
    again = list_source(url)[1]
    assert (again.problem, again.size, again.stamp != gone.stamp) == ("", 4, True)


MISSING = {
    "list.csv": "uri,vertical_degrees,camera,split\na.jpg,,,\nb.jpg,70,theta,test\n",
    "spaces.csv": "uri,vertical_degrees,camera,split\na.jpg, , , \nb.jpg,70,theta,test\n",
    "null.jsonl": '{"uri": "a.jpg", "vertical_degrees": null, "camera": null, "split": null}\n'
    '{"uri": "b.jpg", "vertical_degrees": 70, "camera": "theta", "split": "test"}\n',
    "nan.jsonl": '{"uri": "a.jpg", "vertical_degrees": NaN, "camera": NaN, "split": NaN}\n'
    '{"uri": "b.jpg", "vertical_degrees": 70.0, "camera": "theta", "split": "test"}\n',
    "text.jsonl": '{"uri": "a.jpg", "vertical_degrees": "", "camera": " ", "split": ""}\n'
    '{"uri": "b.jpg", "vertical_degrees": "70", "camera": "theta", "split": "test"}\n',
    "list.parquet": pa.table(
        {
            "uri": ["a.jpg", "b.jpg"],
            "vertical_degrees": [float("nan"), 70.0],
            "camera": ["", "theta"],
            "split": [None, "test"],
        }
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_missing_in_every_format(folder: Path, name: str) -> None:
    first, second = list_source(written(folder, MISSING[name], name))
    assert (first.metadata, first.split, first.problem) == ({}, "", "")
    assert (second.metadata, second.split, second.problem) == ({"vertical_degrees": 70.0, "camera": "theta"}, "test", "")


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        ('{"uri": "a.jpg", "x": [1, NaN], "y": 2}\n{"uri": "b.jpg", "y": 3}\n', "list.jsonl", "1 values of 'x' are left out"),
        (
            '{"uri": "a.jpg", "x": Infinity, "y": 2}\n{"uri": "b.jpg", "y": 3}\n',
            "list.jsonl",
            "the first in row 1 (line 1): x inf",
        ),
        ('{"uri": "a.jpg", "split": true, "y": 2}\n{"uri": "b.jpg", "y": 3}\n', "list.jsonl", "split True is neither text"),
        (pa.table({"uri": ["a.jpg", "b.jpg"], "y": [2, 3], "thumb": [b"0", b"1"]}), "list.parquet", "2 values of 'thumb'"),
        ('{"uri": "a.jpg", "y": 2, "\\ud800": 1}\n{"uri": "b.jpg", "y": 3}\n', "list.jsonl", "has no form in JSON"),
    ],
)
def test_a_value_without_a_meaning_costs_its_key_and_is_told(folder: Path, content: str | pa.Table, name: str, told: str) -> None:
    found = look_at_source(written(folder, content, name))
    assert [(entry.metadata, entry.problem) for entry in found.entries] == [({"y": 2}, ""), ({"y": 3}, "")]
    assert any(told in note for note in found.notes), found.notes


def test_a_column_that_python_has_no_values_for_is_left_out_and_told(folder: Path) -> None:
    table = pa.table({"uri": ["a.jpg"], "y": [2], "when": pa.array([2**62], pa.timestamp("us"))})
    found = look_at_source(written(folder, table, "list.parquet"))
    assert [entry.metadata for entry in found.entries] == [{"y": 2}]
    assert any(note.startswith("the column 'when' of type timestamp") for note in found.notes), found.notes


def test_an_infinite_number_under_a_key_that_is_read_costs_its_row(folder: Path) -> None:
    first, second = list_source(
        written(folder, '{"uri": "a.jpg", "vertical_degrees": Infinity}\n{"uri": "b.jpg"}\n', "list.jsonl")
    )
    assert "vertical_degrees inf has no form in JSON" in first.problem
    assert first.metadata == {"vertical_degrees": "inf"}
    assert not second.problem


def test_blanks_around_a_path_are_its_own_where_such_a_file_is(folder: Path) -> None:
    (folder / " b.jpg").write_bytes(b"other")
    assert [entry.uri for entry in list_source(written(folder, "uri\na.jpg \n b.jpg\n"))] == [
        str(folder / " b.jpg"),
        str(folder / "a.jpg"),
    ]


def test_a_path_up_is_held_against_what_is_allowed(tmp_path: Path) -> None:
    for name in ("lists/one", "data", "other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.jpg").write_bytes(b"x")
    url = written(tmp_path / "lists", "uri\n../data/x.jpg\none/../one/x.jpg\n")
    with pytest.raises(SourceError, match=r"leads out of .*allow it: --set 'source\.allow=\["):
        list_source(url)
    url = written(tmp_path / "lists", "uri,item\n../data/x.jpg,a\none/../one/x.jpg,b\n")
    assert [entry.uri for entry in list_source(url, [str(tmp_path / "data")])] == [
        str(tmp_path / "data/x.jpg"),
        str(tmp_path / "lists/one/x.jpg"),
    ]
    with pytest.raises(SourceError, match="leads out of"):
        list_source(written(tmp_path / "lists", "uri\n../data/../other/x.jpg\n"), [str(tmp_path / "data")])


@pytest.mark.parametrize("name", ["pics.txt", "2024.json", "data.csv", "old.PARQUET"])
def test_a_folder_is_a_folder_whatever_its_name_ends_in(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.jpg").write_bytes(b"a")
    assert [entry.item for entry in list_source(str(tmp_path / name))] == ["a"]
    memory = filesystem(f"memory://{tmp_path}/{name}")[0]
    memory.pipe_file(f"{tmp_path}/{name}/b.jpg", b"b")
    assert [entry.item for entry in list_source(f"memory://{tmp_path}/{name}")] == ["b"]


def test_a_key_that_a_server_refuses_costs_its_row() -> None:
    with s3_bucket("keys") as bucket:
        files, path = filesystem(bucket)
        files.pipe_file(f"{path}/a.jpg", b"a")
        files.pipe_file(f"{path}/list.csv", b"uri\na.jpg\nb?versionId=3.png\n")
        first, second = list_source(f"{bucket}/list.csv")
        assert (first.item, first.problem) == ("a", "")
        assert check_entry(second, Ingest()).reason
