"""One page, whole in itself: headings with units, what each picture shows, how it was made."""

from html.parser import HTMLParser

from matplotlib.figure import Figure

from thalweg.planner.evaluation.report import Heading, Picture, Section, render_report, spoken_interval, spoken_number


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.cells, self.images, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "td":
            self.cells.append([dict(attributes)["data-heading"], ""])
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.words.append(data)
        if "td" in self.open:
            self.cells[-1][1] += data


def page():
    figure = Figure()
    figure.subplots().plot([0, 1])
    section = Section(
        "Round <a> wall",
        "Goals lie behind it.",
        [Heading("planner"), Heading("time to plan", "ms, median")],
        [["energy", "27.1"], ["it's", "-"]],
        [Picture(figure, "A drive & its plan."), Picture(b"GIF89a", "The same.")],
        ["Env seeds of failed episodes: none: 3."],
    )
    return Page(render_report("The demo", "Two worlds.", [section], {"command": "python -m scripts.demo", "version": "0.1.0"}))


def test_every_cell_knows_its_heading_and_unit_so_that_narrow_windows_can_stack_them():
    assert page().cells == [
        ["planner", "energy"],
        ["time to plan (ms, median)", "27.1"],
        ["planner", "it's"],
        ["time to plan (ms, median)", "-"],
    ]


def test_pictures_are_inside_the_page_and_say_what_they_show():
    read = page()
    assert [image["alt"] for image in read.images] == ["A drive & its plan.", "The same."]
    assert [image["src"][:15] for image in read.images] == ["data:image/png;", "data:image/gif;"]
    assert {"A drive & its plan.", "Round <a> wall", "Env seeds of failed episodes: none: 3."} <= set(read.words)


def test_the_foot_says_how_it_was_made():
    words = [word for word in page().words if word.strip()]
    assert words[-4:] == ["command", "python -m scripts.demo", "version", "0.1.0"]


def test_numbers_are_spoken():
    assert spoken_interval([0.6604, 0.83]) == "0.66 to 0.83"
    assert spoken_number(None, 1) == "-" and spoken_number(16.24, 1) == "16.2"
