"""How often a setting is written."""

from opendtu_dcload.venus.gx.write_limiter import WRITES_PER_HOUR, WriteLimiter


def test_a_change_waits_until_it_rests():
    write_limiter = WriteLimiter(600.0)
    assert write_limiter.next_s is None
    write_limiter.changed(0.0)
    write_limiter.changed(300.0)
    assert write_limiter.next_s == 900.0
    write_limiter.forget()
    assert write_limiter.next_s is None


def test_at_most_so_many_writes_within_any_hour():
    write_limiter = WriteLimiter(5.0)
    written_s: list[float] = []
    for second in range(0, 4 * 3600, 10):
        if second % 20 == 0:
            write_limiter.changed(float(second))
        if write_limiter.next_s is not None and write_limiter.next_s <= second:
            write_limiter.written(float(second))
            written_s.append(float(second))
    assert len(written_s) >= 100
    assert all(sum(at <= other < at + 3600 for other in written_s) <= WRITES_PER_HOUR for at in written_s)
