"""What the documents show is true: Python blocks run, commands exist, links lead somewhere, doctests pass.

A Python block that cannot run here stands below a comment `<!-- not run: reason -->`.
"""

import doctest
import importlib
import io
import itertools
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch
import typer
from markdown_it import MarkdownIt

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "src" / "recurra"
PAGES = sorted(
    [*PROJECT.glob("*.md"), *(page for folder in PROJECT.glob("[a-z]*/") for page in folder.glob("**/*.md"))]
)
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__main__.py")  # importing that one runs it

DOCTEST_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NOT_RUN = re.compile(r"<!--\s*not run:\s*\S.*-->", re.DOTALL)
OUTSIDE = re.compile(r"[a-z][a-z+.-]*:|//", re.IGNORECASE)  # https:, mailto:, ...
SHELL = ("bash", "sh", "shell", "console")


# Reading a page ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line its text begins on, and whether it is meant to run."""

    language: str
    text: str
    line: int
    runs: bool


def tokens_of(page):
    return MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))


def blocks_of(page):
    before, blocks = None, []
    for token in tokens_of(page):
        if token.type == "fence":
            language = (token.info.split() or [""])[0].lower()
            runs = not (before and before.type == "html_block" and NOT_RUN.search(before.content))
            blocks.append(Block(language, token.content, token.map[0] + 2, runs))
        before = token
    return blocks


def pages_with(*languages):
    return [page for page in PAGES if any(block.language in languages for block in blocks_of(page))]


def name_of(path):
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else path.name


# Python --------------------------------------------------------------------------------------------------------------


def run_doctest(test):
    """Run one parsed doctest and fail with its own report, which names the file and the line."""
    torch.manual_seed(0)  # an example does not depend on the ones above it
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=DOCTEST_OPTIONS)
    if runner.run(test, out=report.write, clear_globs=False).failed:
        pytest.fail(report.getvalue(), pytrace=False)


def run_python(page):
    """Run the page's Python blocks in order in one namespace, at the lines they have on the page."""
    namespace = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.language not in ("python", "pycon") or not block.runs:
            continue
        if block.text.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(block.text, {}, page.name, str(page), block.line - 1)
            test.globs = namespace  # not above, where it would be copied
            run_doctest(test)
        else:
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize("page", pages_with("python", "pycon"), ids=name_of)
@pytest.mark.usefixtures("own_folder")
def test_the_python_of_a_page_runs(page):
    run_python(page)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
@pytest.mark.usefixtures("own_folder")
def test_the_examples_of_a_module_run(path):
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name)):
        run_doctest(test)


# Commands ------------------------------------------------------------------------------------------------------------


def words_of_commands(text):
    """Yield the words of each command of one shell line; redirections, comments and variables in front fall away."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command, redirected = [], False
    for word in [*lexer, ";"]:
        if word and set(word) <= set("|&;"):
            yield list(itertools.dropwhile(re.compile(r"\w+=").match, command))
            command = []
        elif word and set(word) <= set("<>"):
            redirected = True
        elif redirected:
            redirected = False
        else:
            command.append(word)


def commands_of(block):
    """Yield (line, words) of every `recurra` and `make` command in a shell block; in a console block `$` marks them."""
    joined = re.sub(r"\\\n(> )?", "\0", block.text)  # a command over several lines, which still count
    line = block.line
    for text in joined.split("\n"):
        if (text.startswith("$ ") or block.language != "console") and re.search(r"\b(recurra|make)\b", text):
            for words in words_of_commands(text.removeprefix("$ ").replace("\0", " ")):
                if words and Path(words[0]).name in ("recurra", "make"):
                    yield line, [Path(words[0]).name, *words[1:]]
        line += 1 + text.count("\0")


def without_effect(command):
    """The same command with everything but the reading of its arguments taken out."""
    for subcommand in getattr(command, "commands", {}).values():
        without_effect(subcommand)
    command.callback = lambda **values: None
    return command


def check_command(words, app):
    """Raise if the command line would not be understood: no such command, flag, choice or target, too few or many."""
    if words[0] == "make":
        for target in (word for word in words[1:] if "=" not in word):
            assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text(), re.MULTILINE), f"no target {target}"
    else:
        app = app or importlib.import_module("recurra.cli.app").app
        without_effect(typer.main.get_command(app)).main(words[1:], prog_name="recurra", standalone_mode=False)


def check_commands(page, app=None):
    for block in blocks_of(page):
        for line, words in commands_of(block) if block.language in SHELL else ():
            try:
                check_command(words, app)
            except Exception as error:
                pytest.fail(f"{name_of(page)}:{line}: {shlex.join(words)}: {error}", pytrace=False)


@pytest.mark.parametrize("page", pages_with(*SHELL), ids=name_of)
@pytest.mark.usefixtures("own_folder")
def test_the_commands_of_a_page_exist(page):
    check_commands(page)


# Links ---------------------------------------------------------------------------------------------------------------


def links_of(page):
    """Yield (line, target) of every link and picture of a page, in Markdown or HTML."""
    for token in tokens_of(page):
        for part in [token, *(token.children or [])]:
            line = (token.map or [0])[0] + 1
            if part.type in ("html_block", "html_inline"):
                yield from (
                    (line, target) for target in re.findall(r"""(?:src|href|srcset)=["']([^"']+)""", part.content)
                )
            elif target := part.attrs.get("href") or part.attrs.get("src"):
                yield line, target


def anchors_of(page):
    """The anchors that a forge gives a page's headings: lower case, spaces as hyphens, other marks left out."""
    tokens = tokens_of(page)
    titles = [after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(page):
    for line, target in links_of(page):
        if OUTSIDE.match(target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = page.parent / path if path else page
        if not file.exists():
            yield f"{name_of(page)}:{line}: {target} leads to no file"
        elif anchor and file.suffix == ".md" and anchor not in anchors_of(file):
            yield f"{name_of(page)}:{line}: {target} leads to no heading; there are {sorted(anchors_of(file))}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page):
    dead = list(dead_links(page))
    if dead:
        pytest.fail("\n".join(dead), pytrace=False)


# Words in angle brackets ---------------------------------------------------------------------------------------------


def lost_words(page):
    """Yield (line, tag) of what a forge takes for HTML and does not show, as <t> and <UNK> outside backticks."""
    for token in tokens_of(page):
        for part in token.children or []:
            if part.type == "html_inline" and not re.match(r"<!--|</?(a|br|code|img|kbd|sub|sup)\b", part.content):
                yield token.map[0] + 1, part.content


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_word_of_a_page_is_taken_for_html(page):
    assert list(lost_words(page)) == []


# These tests can fail ------------------------------------------------------------------------------------------------


@pytest.fixture
def page(own_folder):
    """A page written by the test: page(text) gives its path."""

    def write(text):
        path = own_folder / "page.md"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_blocks_share_a_namespace_and_run_in_their_own_folder(page, own_folder):
    run_python(
        page("```python\na = 1\n```\n\n```python\nfrom pathlib import Path\nPath('made').write_text(str(a + 1))\n```\n")
    )
    assert (own_folder / "made").read_text() == "2"


def test_a_block_that_fails_points_to_its_line(page):
    with pytest.raises(NameError) as caught:
        run_python(page("# Title\n\n- item\n\n  ```python\n  a = 1\n  b = a + nothing\n  ```\n"))
    last = caught.traceback[-1]
    assert (last.path.name, last.lineno + 1) == ("page.md", 7)


def test_a_dialogue_is_compared_and_points_to_its_line(page):
    good = "```python\na = 1\n```\n\n```pycon\n>>> a + 1\n2\n```\n"
    run_python(page(good))
    with pytest.raises(pytest.fail.Exception, match=r'page.md", line 6(.|\n)*Expected:\n *3'):
        run_python(page(good.replace("\n2\n", "\n3\n")))


def test_a_block_marked_as_not_run_is_skipped_with_a_reason_only(page):
    run_python(page("<!-- not run: takes an hour -->\n```python\nraise SystemExit\n```\n"))
    for comment in ("<!-- not run: -->", "<!-- a remark -->"):
        with pytest.raises(SystemExit):
            run_python(page(f"{comment}\n```python\nraise SystemExit\n```\n"))


def test_commands_are_read_as_a_shell_reads_them():
    console = """$ recurra sample runs/demo --seed 1   # a comment
some output of recurra
$ recurra train language-modelling \\
>     --data "my file.txt" --primer "" --at 1,2:3@x > log.txt && recurra demo | less
$ OMP_NUM_THREADS=1 .venv/bin/recurra cells; make test
$ ls recurra
"""
    assert list(commands_of(Block("console", console, 10, True))) == [
        (10, ["recurra", "sample", "runs/demo", "--seed", "1"]),
        (12, ["recurra", "train", "language-modelling", "--data", "my file.txt", "--primer", "", "--at", "1,2:3@x"]),
        (12, ["recurra", "demo"]),
        (14, ["recurra", "cells"]),
        (14, ["make", "test"]),
    ]
    assert list(commands_of(Block("bash", "recurra demo\n$ recurra cells\n", 3, True))) == [
        (3, ["recurra", "demo"]),
        (4, ["recurra", "cells"]),
    ]


@pytest.fixture
def app():
    from enum import Enum

    level = Enum("Level", {"word": "word", "byte": "byte"}, type=str)
    app = typer.Typer()
    train = typer.Typer()
    app.add_typer(train, name="train")

    @app.command()
    def cells(name: str = typer.Argument(default=None)): ...

    @train.command("language-modelling")
    def language_modelling(data: str = typer.Option(...), level: level = "word", tied: bool = False): ...

    return app


@pytest.mark.parametrize(
    "command",
    [
        "recurra --help",
        "recurra cells",
        "recurra cells gru",
        "recurra train --help",
        "recurra train language-modelling --data a.txt --level byte --tied",
        "make test PYTHON=python3.12",
    ],
)
def test_a_command_that_exists_passes(page, app, command):
    check_commands(page(f"```console\n$ {command}\n```\n"), app)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("recurra sells", "No such command 'sells'"),
        ("recurra cells --all", "--all"),
        ("recurra cells gru lstm", "unexpected extra argument"),
        ("recurra train language-modelling", "Missing parameter: data"),
        ("recurra train language-modelling --data", "--data"),
        ("recurra train language-modelling --data a --level bite", "'bite' is not one of 'word', 'byte'"),
        ("make tests lunch", "no target lunch"),
    ],
)
def test_a_command_that_does_not_exist_is_reported_with_its_line(page, app, command, complaint):
    with pytest.raises(pytest.fail.Exception, match=complaint) as caught:
        check_commands(page(f"Text.\n\n```console\n$ {command}\n```\n"), app)
    assert str(caught.value).startswith("page.md:4: ")


def test_links_are_followed_to_the_file_and_the_heading(page, own_folder):
    (own_folder / "other.md").write_text("# The `cell`, explained\n")
    text = """# A title

[one](other.md) [two](other.md#the-cell-explained) [three](#a-title) [four](https://example.org/no) ![five](other.md)
"""
    assert list(dead_links(page(text))) == []
    broken = page(text + '\n[a](gone.md) [b](other.md#no) [c](#no)\n\n<img src="gone.png">\n')
    assert [line.split(": ")[1].split(" leads")[0] for line in dead_links(broken)] == [
        "gone.md",
        "other.md#no",
        "#no",
        "gone.png",
    ]


def test_words_in_angle_brackets_outside_backticks_are_reported(page):
    text = "In `x<t>` <kbd>k</kbd>\n\n| a | b |\n|---|---|\n| y<t-1> | <br> |\n\n    a<t>\n\nfour <UNK> <https://example.org>\n"
    assert list(lost_words(page(text))) == [(3, "<t-1>"), (9, "<UNK>")]
