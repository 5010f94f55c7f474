"""Experiments with the student: what labels, parts of the network and peers are worth, on procedural rooms.

python -m benchmarks.student.data      rooms, split by scene, and the label stores of all arms
python -m benchmarks.student.rates     learning rates, compared on the held-out split
python -m benchmarks.student.run       every arm and seed that is not there yet
python -m benchmarks.student.report    the tables, from the runs that are there
"""
