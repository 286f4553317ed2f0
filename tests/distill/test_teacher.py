"""What of a teacher is its feature, at which size, frozen whatever happens."""

import timm
import torch

from napari_xmag.nets.teachers.teacher import Teacher, TeacherSpec

PIXELS = torch.randint(0, 255, (2, 3, 96, 96), dtype=torch.uint8)


def vit(registers: int = 4) -> torch.nn.Module:
    torch.manual_seed(0)
    network: torch.nn.Module = timm.create_model(
        "test_vit", pretrained=False, num_classes=0, img_size=64, reg_tokens=registers
    )
    return network


def test_class_token_and_mean_patch_token_without_registers() -> None:
    network = vit()
    teacher = Teacher(network, TeacherSpec("vit", feature="cls_mean", tile_px=64))
    seen = []
    original = network.forward_features

    def watched(pixels: torch.Tensor) -> torch.Tensor:
        seen.append(original(pixels))
        return seen[-1]

    network.forward_features = watched  # type: ignore[method-assign, assignment]
    features = teacher(PIXELS)
    tokens = seen[0]
    assert tokens.shape[1] == 1 + 4 + 16
    expected = torch.cat([tokens[:, 0], tokens[:, 5:].mean(1)], 1)
    torch.testing.assert_close(features, expected)
    only_class = Teacher(network, TeacherSpec("vit", feature="cls", tile_px=64))(PIXELS)
    torch.testing.assert_close(only_class, tokens[:, 0])


def test_normalisation_is_the_networks_own_or_the_given_one() -> None:
    network = torch.nn.Identity()
    network.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}  # type: ignore[assignment]
    own = Teacher(network, TeacherSpec("own"))(PIXELS)
    torch.testing.assert_close(own, (PIXELS / 255 - 0.5) / 0.25)
    spec = TeacherSpec("given", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    torch.testing.assert_close(Teacher(network, spec)(PIXELS), PIXELS / 255)


def test_it_stays_frozen_and_in_evaluation_mode() -> None:
    teacher = Teacher(vit(), TeacherSpec("vit", feature="cls", tile_px=64))
    teacher.train()
    assert not teacher.training
    assert not teacher.network.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
