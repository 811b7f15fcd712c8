import numpy as np
import pytest

from thalweg.planner.goal_space import GoalSpace


@pytest.mark.parametrize(
    "size, cells, pictures, limits", [(1, True, False, 1), (2, True, True, 0), (3, True, False, 1), (7, False, False, 2)]
)
def test_what_few_entries_allow_is_said_where_there_are_more(size, cells, pictures, limits):
    space = GoalSpace(size)
    assert (space.has_cells, space.has_pictures) == (cells, pictures)
    assert len(space.limits()) == limits and all(f"{size} entries" in line for line in space.limits())


def test_a_plane_shows_the_first_two_entries_and_a_line_where_there_is_one():
    assert GoalSpace(3).plane(np.array([1.0, 2.0, 3.0])).tolist() == [1.0, 2.0]
    assert GoalSpace(1).plane(np.array([[4.0], [5.0]])).tolist() == [[4.0, 0.0], [5.0, 0.0]]
