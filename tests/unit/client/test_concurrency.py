"""Tasks that live as long as a block, and whose error comes out of it."""

import asyncio

import pytest

from muster_client.concurrency import companions


async def fails(error: Exception) -> None:
    raise error


async def beside(*errors: Exception) -> None:
    async with companions() as others:
        for error in errors:
            others.start(fails(error))
        await asyncio.Event().wait()


async def test_when_several_fail_for_one_reason_the_first_comes_out() -> None:
    first = ConnectionResetError("first")
    with pytest.raises(ConnectionResetError) as caught:
        await beside(first, TimeoutError("second"))
    assert caught.value is first
    assert isinstance(caught.value.__cause__, ExceptionGroup)


async def test_a_fault_of_the_program_comes_before_a_lost_connection() -> None:
    fault = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError) as caught:
        await beside(ConnectionResetError(), fault)
    assert caught.value is fault


async def test_a_single_error_comes_out_bare() -> None:
    with pytest.raises(ConnectionResetError) as caught:
        await beside(ConnectionResetError())
    assert caught.value.__cause__ is None


async def test_nothing_outlives_the_block() -> None:
    async with companions() as others:
        waiting = others.start(asyncio.sleep(3600))
    assert waiting.cancelled()
