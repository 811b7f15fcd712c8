"""What the protocols promise, checked on a part: `check_*` before it is used, `checked_*` on what it gives in mid-run."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import BadInput
from .plan import NoPathError, Plan
from .protocols import DistanceModel, Planner, StateSampler

if TYPE_CHECKING:  # a planner checks what it is given, and experience is read with a planner's settings
    from .experience import Experience

Array = NDArray[np.floating]

_CONTEXTS = 3  # starts and goals that a part is asked about
_COUNTS = (0, 1, 7)  # of samples
_SIZES = ((5, 7), (1, 1))  # states by goals: unlike numbers show a matrix that is turned over, 1 by 1 one that is squeezed


class CheckError(BadInput, ValueError):
    """A part breaks a promise of its protocol; one line says which part, what is wrong and how to mend it."""


def check_sampler(sampler: StateSampler, experience: Experience) -> None:
    """CheckError at the first broken promise of a `StateSampler`."""
    name = type(sampler).__name__
    low, high = _reach(experience.states)
    for (state, goal), count in itertools.product(_contexts(experience), _COUNTS):
        draws = [
            _asked(f"{name}.sample", f"num_samples={count}", sampler.sample, state, goal, count, np.random.default_rng(0))
            for _ in range(2)
        ]
        nodes = checked_nodes(draws[0], count, len(state), name)
        _check_float32(nodes, f"{name}: the samples")
        mend = "outside the space: give states within the visited range, or not much farther out; mind the units"
        _refuse((nodes < low) | (nodes > high), nodes, f"{name}: the samples", mend)
        if not np.array_equal(*draws):
            raise CheckError(f"{name}.sample: equal rng, another draw; draw all that is random from the rng it is given")


def check_distance(distance: DistanceModel, experience: Experience) -> None:
    """CheckError at the first broken promise of a `DistanceModel`."""
    name = type(distance).__name__
    rng = np.random.default_rng(0)
    for rows, columns in _SIZES:
        states = experience.states[rng.integers(len(experience.states), size=rows)]
        goals = experience.goals[rng.integers(len(experience.goals), size=columns)]
        steps = _steps(f"{name}.pairwise", distance.pairwise, states, goals, (rows, columns))
        left, right = (index.ravel() for index in np.indices((rows, columns)))
        paired = _steps(f"{name}.paired", distance.paired, states[left], goals[right], (rows * columns,))
        differ = ~_close(paired, steps.ravel())
        if differ.any():
            pair = int(differ.argmax())
            raise CheckError(
                f"{name}: pairwise gives {steps.flat[pair]:g} steps where paired gives {paired[pair]:g}; "
                f"pairwise[i, j] must be paired of state i and goal j"
            )


def check_planner(planner: Planner, experience: Experience) -> None:
    """CheckError at the first broken promise of a `Planner`. It may find no path."""
    name = type(planner).__name__
    for state, goal in _contexts(experience):
        plans = [_plan(planner, name, state, goal) for _ in range(2)]
        if not _alike(*plans):
            raise CheckError(f"{name}.plan: equal rng, another plan; draw all that is random from the rng it is given")


def checked_nodes(nodes: Any, num: int, state_size: int, name: str) -> Array:
    """What sampler `name` gave, as it is. CheckError unless it is (num, state_size), floating-point and finite."""
    what = f"{name}: the samples"
    _check_array(nodes, (num, state_size), what, "give num_samples rows, each a whole state")
    _refuse(~np.isfinite(nodes), nodes, what, "but a node must be a finite state")
    return nodes


def checked_steps(steps: Any, shape: tuple[int, ...], name: str) -> Array:
    """What distance `name` gave, as it is. CheckError unless it is of this shape, floating-point, never NaN, never negative."""
    what = f"{name}: the distances"
    _check_array(steps, shape, what, "pairwise gives states by goals, paired one per pair")
    if not (steps >= 0).all():  # false for NaN, too
        _refuse(np.isnan(steps), steps, what, "but must be a number; inf means unreachable")
        _refuse(steps < 0, steps, what, "but steps are never negative; cut them off at 0")
    return steps


def check_plan(plan: Any, state_size: int, name: str) -> None:
    """CheckError unless what planner `name` gave is a plan over states of this size."""
    if not isinstance(plan, Plan):
        raise CheckError(f"{name}.plan gave a {type(plan).__name__}; give a Plan, or raise NoPathError if there is none")
    for field, rows in (("waypoints", "K"), ("nodes", "N")):
        what, values = f"{name}: the plan's {field}", np.asarray(getattr(plan, field))
        if values.ndim != 2 or values.shape[1] != state_size:
            raise CheckError(f"{what} are of shape {values.shape}, expected ({rows}, {state_size}): each a whole state")
        _refuse(~np.isfinite(values), values, what, "but must be finite states")
    what = f"{name}: the plan's edge_steps"
    _check_array(plan.edge_steps, (len(plan.waypoints) + 1,), what, "one per waypoint, and one from the last to the goal")
    usable = np.isfinite(plan.edge_steps) & (plan.edge_steps >= 0)
    _refuse(~usable, plan.edge_steps, what, "but a link of a plan takes finitely many steps, 0 or more")
    what, edges, last = f"{name}: the plan's edges", np.asarray(plan.edges), len(plan.nodes) + 1
    if edges.ndim != 2 or edges.shape[1] != 2 or not np.issubdtype(edges.dtype, np.integer):
        raise CheckError(f"{what} are {edges.dtype} of shape {edges.shape}, expected whole numbers (E, 2): rows [from, to]")
    _refuse((edges < 0) | (edges > last), edges, what, f"but 0 is the start, 1 to {last - 1} the nodes and {last} the goal")


def _alike(plan: Plan | None, other: Plan | None) -> bool:
    if plan is None or other is None:
        return plan is other
    return np.array_equal(plan.waypoints, other.waypoints) and np.array_equal(plan.edge_steps, other.edge_steps)


def _plan(planner: Planner, name: str, state: Array, goal: Array) -> Plan | None:
    try:
        plan = _asked(f"{name}.plan", "a visited state and goal", planner.plan, state, goal, np.random.default_rng(0))
    except NoPathError:
        return None
    check_plan(plan, len(state), name)
    return plan


def _steps(label: str, ask: Callable[..., Any], states: Array, goals: Array, shape: tuple[int, ...]) -> Array:
    given = f"states {states.shape} and goals {goals.shape}"
    steps = checked_steps(_asked(label, given, ask, states, goals), shape, label)
    _check_float32(steps, f"{label}: the distances")
    if not _close(steps, _asked(label, given, ask, states, goals)).all():
        raise CheckError(f"{label}: asked again it gives other distances; make it a function of state and goal alone")
    return steps


def _close(steps: Array, others: Array) -> NDArray[np.bool_]:
    """(...), (...) -> (...). What a network answers depends a little on what else is in the batch."""
    return np.isclose(steps, others, rtol=1e-3, atol=1e-2)


def _asked(label: str, given: str, ask: Callable[..., Any], *arguments: Any) -> Any:
    """The answer. CheckError if it raises anything but NoPathError, alters an array it was given, or global randomness."""
    arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
    before, copies = _global_randomness(), [array.copy() for array in arrays]
    try:
        answer = ask(*arguments)
    except NoPathError:
        raise
    except Exception as error:
        raise CheckError(f"{label} raised {type(error).__name__} for {given}: {error}") from error
    if not all(np.array_equal(array, copy) for array, copy in zip(arrays, copies, strict=True)):
        raise CheckError(f"{label} altered the states or goals it was given; work on a copy of them")
    after = _global_randomness()
    used = [source for source, state in before.items() if after[source] != state]
    if used:
        raise CheckError(f"{label} draws from, or seeds, the global randomness of {used[0]}; use a generator of its own")
    return answer


def _global_randomness() -> dict[str, bytes]:
    legacy: Any = np.random.get_state()
    states = {"numpy": legacy[1].tobytes() + repr(legacy[2:]).encode(), "random": repr(random.getstate()).encode()}
    if "torch" in sys.modules:  # importing it takes 2 s, and a planner need not
        states["torch"] = sys.modules["torch"].random.get_rng_state().numpy().tobytes()
    return states


def _contexts(experience: Experience) -> Iterator[tuple[Array, Array]]:
    rng = np.random.default_rng(0)
    for start, end in rng.integers(len(experience.states), size=(_CONTEXTS, 2)):
        yield experience.states[start].copy(), experience.goals[end].copy()


def _reach(states: Array) -> tuple[Array, Array]:
    """(M, S) -> the visited range and as much again on either side, (S,) each; 1 where an entry never varies."""
    low, high = states.min(axis=0), states.max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    return low - width, high + width


def _check_array(values: Any, shape: tuple[int, ...], what: str, mend: str) -> None:
    if not isinstance(values, np.ndarray):
        raise CheckError(f"{what} are a {type(values).__name__}, expected a numpy array of shape {shape}")
    if values.shape != shape:
        raise CheckError(f"{what} are of shape {values.shape}, expected {shape}: {mend}")
    if not np.issubdtype(values.dtype, np.floating):
        raise CheckError(f"{what} are {values.dtype}, expected float32")


def _check_float32(values: Array, what: str) -> None:
    if values.dtype != np.float32:
        raise CheckError(f"{what} are {values.dtype}, expected float32: end with .astype(np.float32)")


def _refuse(bad: NDArray[np.bool_], values: Any, what: str, mend: str) -> None:
    """CheckError that names the first bad entry, if there is one."""
    if bad.any():
        entry = tuple(int(index) for index in np.argwhere(bad)[0])
        raise CheckError(f"{what} have {values[entry]:g} at {list(entry)}, {mend}")
