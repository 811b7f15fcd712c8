import pytest

from thalweg.planner.goal_space import GoalSpace


@pytest.mark.parametrize(
    "size, cells, pictures, limits", [(1, True, False, 1), (2, True, True, 0), (3, True, False, 1), (7, False, False, 2)]
)
def test_what_few_entries_allow_is_said_where_there_are_more(size, cells, pictures, limits):
    space = GoalSpace(size)
    assert (space.has_cells, space.has_pictures) == (cells, pictures)
    assert len(space.limits()) == limits and all(f"{size} entries" in line for line in space.limits())
