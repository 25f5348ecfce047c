"""The decoder's subprocess: PyAV under limits of memory and time, without torch and without network.

`main.py` serves requests: `probe.py` reads the header, `cutting.py` cuts clips, `scanner.py` measures motion and finds
shots. `film.py` opens and reads a file; `picture.py` resizes, turns and colours a frame.
May import `frame_sampling` and what in `cluster.ground` needs the standard library only.
"""
