import jax
import jax.numpy as jnp
import pytest

from pallas_kernels.tools import aot, compile_check, sass

# Two nested loops: the inner one draws two pairs with eight instructions.
SASS = """
	.section	.text.draw,"ax",@progbits
        .global         draw
draw:
.text.draw:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/                   S2UR UR5, SR_CgaCtaId ;
.L_x_0:
        /*0020*/                   LDG.E R0, desc[UR6][R2.64] ;
.L_x_1:
        /*0030*/                   FADD R4, R0, -R5 ;
        /*0040*/                   FFMA R6, R4, R4.reuse, R7 ;
        /*0050*/              @!P0 BRA `(.L_x_2) ;
        /*0060*/                   MUFU.EX2 R8, R6 ;
        /*0070*/                   MUFU.EX2 R9, R4 ;
        /*0080*/                   FFMA R10, R8, R9, R10 ;
.L_x_2:
        /*0090*/                   IADD3 R2, P0, R2, 0x4, RZ ;
        /*00a0*/               @P1 BRA `(.L_x_1) ;
        /*00b0*/                   ISETP.NE.U32.AND P4, PT, R13, 0x100, PT ;
        /*00c0*/               @P4 BRA `(.L_x_0) ;
        /*00d0*/                   STG.E desc[UR6][R2.64], R10 ;
        /*00e0*/                   EXIT ;
.L_x_3:
        /*00f0*/                   BRA `(.L_x_3);
        /*0100*/                   NOP;
        /*0110*/                   NOP;
.L_x_4:
	.section	.text.copy,"ax",@progbits
.text.copy:
        /*0000*/                   EXIT ;
.L_x_5:
"""


def test_reads_sass():
    kernels = sass.parse(SASS)
    assert list(kernels) == ["draw", "copy"]
    assert kernels["copy"] == [sass.Instruction("EXIT", None)]
    draw = kernels["draw"]
    assert len(draw) == 16  # the padding after the last branch is left out
    assert draw[5] == sass.Instruction("BRA", 9)
    assert [x.operation for x in draw].count("MUFU.EX2") == 2


def test_finds_the_innermost_loop_with_exponentials():
    kernels = sass.parse(SASS)
    loop = sass.hot_loop(kernels["draw"])
    assert loop == sass.Loop(instructions=8, exponentials=2)
    assert loop.instructions_per_pair == 4
    assert sass.hot_loop(kernels["copy"]) is None


def kernel(**changes):
    return aot.Kernel("draw", "sm_90a", 64, 0, 0, sass.parse(SASS)["draw"])._replace(**changes)


def test_a_row_has_the_figures_of_a_kernel():
    assert compile_check.figures(kernel()) == {
        "kernel": "draw",
        "registers": 64,
        "spill_bytes": 0,
        "shared_bytes": 0,
        "instructions": 16,
        "instructions_per_pair": 4.0,
    }


JOB = compile_check.Job("splat2d.pallas_triton", "B", "float32", "sm_90a")


def fails_with(error):
    def compile_for(*arguments):
        raise error

    return compile_for


def test_a_refusal_is_no_error(monkeypatch):
    monkeypatch.setattr(aot, "compile_for", fails_with(NotImplementedError("needs jax 0.11")))
    assert compile_check.compile_job(JOB) == [{**JOB._asdict(), "refused": "needs jax 0.11"}]
    missing = ModuleNotFoundError(name="triton")
    monkeypatch.setattr(aot, "compile_for", fails_with(missing))
    assert compile_check.compile_job(JOB)[0]["refused"] == "triton is not installed"


def test_what_does_not_compile_is_an_error(monkeypatch):
    monkeypatch.setattr(aot, "compile_for", fails_with(ValueError("too large")))
    assert compile_check.compile_job(JOB)[0]["error"] == "ValueError: too large"
    monkeypatch.setattr(aot, "compile_for", lambda *arguments: [])
    assert "no kernel" in compile_check.compile_job(JOB)[0]["error"]


def test_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(aot, "missing", lambda: "nvdisasm was not found")
    with pytest.raises(SystemExit):
        compile_check.main([])
    assert "cannot compile for a GPU here: nvdisasm was not found" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="nvdisasm"):
        aot.compile_for("sm_90a", jnp.sin, jax.ShapeDtypeStruct((4,), jnp.float32))


@pytest.mark.skipif(aot.missing() is not None, reason=str(aot.missing()))
def test_compiles_a_small_configuration(tmp_path, capsys):
    output = tmp_path / "check.json"
    choice = ["--kernels", "splat2d.pallas_triton", "--cases", "B", "--dtypes", "float32"]
    status = compile_check.main([*choice, "--architectures", "sm_90a", "--output", str(output)])
    assert status == 0
    assert "1 kernels compiled, 0 spill; 0 errors" in capsys.readouterr().out
    assert '"registers"' in output.read_text()
