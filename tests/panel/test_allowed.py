"""Formulas of others: with ``context=None`` nothing runs but arithmetic and known functions."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.exceptions import FormulaError, GifepanelError
from gifepanel.panel import formulaic_evaluation


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"firm": np.repeat(range(12), 6), "year": np.tile(range(6), 12)})
    for name in ("y", "x", "z", "odd name"):
        frame[name] = rng.normal(size=72)
    frame["w"] = np.exp(frame.z)
    frame["g"] = np.array(["a", "b", "c"])[frame.firm % 3]
    return frame


ESCAPES = [
    "{__import__('os').system('true')}",
    "I(__import__('os').getpid())",
    "{().__class__.__base__.__subclasses__()}",
    "{x.__class__}",
    "{x.values}",
    "{x.to_numpy()}",
    "x.shift(1)",
    "{x.to_csv('/tmp/out')}",
    "{x.map(print)}",
    "{x.pipe(eval)}",
    "I(x.apply('__import__(\"os\")'))",
    "{eval('1')}",
    "{exec('1')}",
    "{open('/etc/passwd')}",
    "{compile('1', '', 'eval')}",
    "{getattr(x, 'values')}",
    "{globals()}",
    "{vars(np)}",
    "{print(x)}",
    "{max(x)}",
    "{type(x)}",
    "{breakpoint()}",
    "{(lambda: x)()}",
    "{(lambda q: q)(x)}",
    "{[a for a in x]}",
    "{sum(a for a in x)}",
    "{ {a for a in x} }",
    "{ {a: 1 for a in x} }",
    "{f'{x}'}",
    "{f'{open(1)}'}",
    "I(f'{x.values}')",
    "{'%s' % x}",
    "{'{0.__class__}'.format(x)}",
    "{x[0]}",
    "x[0]",
    "{x[x > 0]}",
    "{np.__dict__['load']}",
    "{np.load('a.npy', allow_pickle=True)}",
    "np.load('a.npy')",
    "{np.fromfile('/etc/passwd')}",
    "{np.save('/tmp/a', x)}",
    "{np.lib}",
    "{np.ctypeslib.ctypes}",
    "{np.frompyfunc(eval, 1, 1)(x)}",
    "{np.vectorize(eval)(x)}",
    "{np.log.__self__}",
    "{np.log.at(x, 0)}",
    "{np.add.reduce(x)}",
    "{np.log(x, x)}",
    "{np.log(x, out=x)}",
    "{np.add(x, 1, x)}",
    "{add(x, 1, out=x)}",
    "{np.testing}",
    "{np.apply_along_axis(eval, 0, x)}",
    "{pd.read_pickle('a.pkl')}",
    "{pd.eval('1')}",
    "{pd}",
    "{np}",
    "{log}",
    "{open}",
    "{contr}",
    "{contr.__class__}",
    "{contr.treatment.__init__}",
    "C(g, contr.__dict__)",
    "C(g, levels=[a for a in 'abc'])",
    "C(g, levels=eval('1'))",
    "bs(x, df=__import__('os').getpid())",
    "bs(x, **{'df': 4})",
    "bs(*[x, 4])",
    "center(x, _state={})",
    "center(x, _context=1)",
    "hashed(g, levels=4, hash_function=eval)",
    "__gife_L(x)",
    "__FORMULAIC_CONTEXT__",
    "{__FORMULAIC_CONTEXT__}",
    "{__FORMULAIC_SPEC__}",
    "{__builtins__}",
    "{__name__}",
    "`open`(x)",
    "{`open`}",
    "{`open`('/etc/passwd')}",
    "{`__import__`('os')}",
    "Q('np')",
    "Q('__builtins__')",
    "Q(open('a'))",
    "I('`' + open('/etc/passwd').read() + '`')",
    'I("\\"`" + x + `x`)',
    "I(b'a')",
    "{(y := x)}",
    "{x if 1 else z}",
    "{x and z}",
    "{not x}",
    "{x @ z}",
    "{x << 2}",
    "{x in z}",
    "{x is z}",
    "{9**9**9**9}",
    "x + {9**9**9**9}",
    "{x * 9**999999999}",
    "{'a' * 999999999}",
    "{[x] * 999}",
    "{x, z}",
    "{...}",
    "{1j * x}",
    "{ {**x} }",
    "{ｅval('1')}",
    "log(x.values)",
    "L(x.values)",
    "L(x, eval('1'))",
    "L(eval('x'))",
    "D(`open`('a'))",
    "I(input())",
    "I(exit())",
    "I(help())",
    "I(x #)\n + exit())",
    "matmul(x, z)",
    "vecdot(x, z)",
    "L(x, 1:1000000000)",
    "I(" + "-" * 3000 + "x)",
    "I(" + "x + " * 3000 + "z)",
    "hashed(g, levels=4, hash_function=`open`)",
    "C(g, {`lambda`: exit()})",
    "Q(exit())",
    "{(exit())(x)}",
]


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def ran(*args: Any, **options: Any) -> None:
        raise AssertionError("a term was evaluated")

    monkeypatch.setattr(formulaic_evaluation, "Evaluation", ran)


@pytest.mark.parametrize("term", ESCAPES)
def test_escapes_are_refused_before_anything_runs(data: pd.DataFrame, term: str, nothing_runs: None) -> None:
    for formula, options in (
        (f"y ~ z + {term}", {}),
        (f"y ~ {term}:z + z | firm", {}),
        ("y ~ z", {"partial": term}),
        (f"{term} ~ z", {}),
        (f"y - {term} ~ z", {}),
    ):
        with pytest.raises(GifepanelError):
            gife.PartialledOLS.from_formula(formula, data, context=None, **options)


@pytest.mark.parametrize("formula", ["y ~ (x + z + w)**40", "y ~ " + "*".join(f"(x{k} + z{k})" for k in range(40))])
def test_products_without_end(data: pd.DataFrame, formula: str, nothing_runs: None) -> None:
    with pytest.raises(FormulaError, match="stands for more than 10000 products"):
        gife.PartialledOLS.from_formula(formula, data, context=None)


def test_names_of_columns_do_not_run(data: pd.DataFrame) -> None:
    """formulaic's parser runs calls on the left side to find out their names."""
    code = "Q(exit())"
    frame = data.rename(columns={"w": code})
    for formula in (f"{code} ~ x", f"{{{code}}} ~ x", f"y ~ {code}", f"y - {code} ~ x"):
        with pytest.raises(FormulaError, match="a quoted name that is no column"):
            gife.PartialledOLS.from_formula(formula, frame, context=None)
    model = gife.PartialledOLS.from_formula(f"`{code}` ~ x", frame, context=None)
    np.testing.assert_array_equal(model.endog, data.w)


@pytest.mark.parametrize("context", [None, 0])
def test_names_that_are_words_of_python(data: pd.DataFrame, context: int | None) -> None:
    frame = data.rename(columns={"w": "not", "x": "exp"})
    terms = {"I(`not` - exp)": data.w - data.x, "{`z`*`exp`}": data.z * data.x, "{exp - `y`}": data.x - data.y}
    for term, expected in terms.items():
        model = gife.PartialledOLS.from_formula(f"log(g) ~ 0 + {term}", frame.assign(g=2.0), context=context)
        np.testing.assert_allclose(model.exog[:, 0], expected, rtol=1e-14)
    with pytest.raises(FormulaError, match="'lambda' is a word of Python") as caught:
        gife.PartialledOLS.from_formula("y ~ log(`lambda`)", frame.rename(columns={"not": "lambda"}), context=context)
    assert caught.value.fix == 'data = data.rename(columns={"lambda": "lambda_"})'


@pytest.mark.parametrize(
    "term",
    [
        "x",
        "log(w)",
        "np.log(w)",
        "sqrt(w) + exp10(x)",
        "tanh(x) + arctan2(x, z)",
        "np.tanh(x)",
        "abs(x) + np.abs(z)",
        "where(x > 0, x, 0)",
        "np.where(x > 0, x, 0)",
        "np.clip(x, -1, 1)",
        "np.round(x, 1)",
        "np.maximum(x, z)",
        "{x / w}",
        "{x > 0} + {(x > 0) & ~(z > 0)}",
        "I(x**2) + I(x*10**6)",
        "{x * np.pi}",
        "bs(x, df=4)",
        "cr(x, df=4) + poly(z, 2)",
        "center(x) + scale(z) + standardize(w)",
        "C(g) + x",
        "C(g, Treatment('b'))",
        "C(g, Treatment(reference='b'))",
        "C(g, contr.sum)",
        "C(g, contr.treatment(base='b'), levels=['a', 'b', 'c'])",
        "C(g, {'one': [1, 0, 0], 'two': [0, 1, 0]})",
        "L(x) + F(x) + D(x)",
        "L(x, (1, 2))",
        "L(x, 1:2) + lag(z, k=2)",
        "L(log(w), 2)",
        "`odd name` + I(`odd name`**2)",
        "Q('odd name')",
        "x*z + g:x",
        "{g == 'a'}",
        "hashed(g, levels=4)",
    ],
)
def test_what_a_formula_may_do(data: pd.DataFrame, term: str) -> None:
    import numpy

    names = {name: getattr(numpy, name) for name in ("tanh", "arctan2", "where", "abs")}
    ids = {"entity": "firm", "time": "year"}
    own = gife.PartialledOLS.from_formula(f"y ~ {term}", data, context=None, **ids)
    other = gife.PartialledOLS.from_formula(f"y ~ {term}", data, context=names, **ids)
    assert own.exog_names == other.exog_names
    np.testing.assert_array_equal(own.exog, other.exog)
    again = pickle.loads(pickle.dumps(own.design.spec))
    np.testing.assert_array_equal(again.exog_for(data).exog, own.exog)


def test_exp10_is_a_power_of_ten(data: pd.DataFrame) -> None:
    model = gife.PartialledOLS.from_formula("y ~ exp10(x)", data, context=None)
    np.testing.assert_allclose(model.exog[:, 1], 10.0**data.x, rtol=1e-14)


def test_unknown_names_are_told_as_ever(data: pd.DataFrame) -> None:
    with pytest.raises(FormulaError, match=r"which is not in the data.*did you mean 'odd name'"):
        gife.PartialledOLS.from_formula("y ~ x + odd_name", data, context=None)
    with pytest.raises(FormulaError, match="names 'q', which is not in the data"):
        gife.PartialledOLS.from_formula("y ~ log(q)", data, context=None)


def test_values_that_a_function_makes_missing_are_told(data: pd.DataFrame) -> None:
    with pytest.raises(FormulaError, match="NaN"):
        gife.PartialledOLS.from_formula("y ~ arccos(x)", data, context=None)


@pytest.mark.parametrize("model", ["InteractiveFE", "GroupedIFE"])
def test_every_model(data: pd.DataFrame, model: str) -> None:
    options = {"n_factors": 1} | ({"n_groups": 1} if model == "GroupedIFE" else {})
    with pytest.raises(FormulaError, match="an attribute"):
        getattr(gife, model).from_formula(
            "y ~ x + {x.values}", data, entity="firm", time="year", context=None, **options
        )


def test_a_caller_may_still_run_code(data: pd.DataFrame) -> None:
    model = gife.PartialledOLS.from_formula("y ~ {x.to_numpy()} + I(np.cumsum(z))", data)
    assert len(model.exog_names) == 3
