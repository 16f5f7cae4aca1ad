"""ResNet-50 in torch.nn alone: what the programs of ``speed.py`` look at."""

import torch
from torch import nn


def conv(cin, cout, kernel, stride=1):
    """Return a convolution without bias and its norm."""
    layer = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(cout))


class Block(nn.Module):
    """A bottleneck: 1x1, 3x3, 1x1, and the input added."""

    def __init__(self, cin, width, stride):
        super().__init__()
        cout = 4 * width
        self.squeeze = conv(cin, width, 1)
        self.middle = conv(width, width, 3, stride)
        self.expand = conv(width, cout, 1)
        self.skip = conv(cin, cout, 1, stride) if cin != cout else nn.Identity()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        """Add what the three layers make to the input."""
        y = self.act(self.middle(self.act(self.squeeze(x))))
        return self.act(self.expand(y) + self.skip(x))


class ResNet50(nn.Module):
    """Stem, four stages of 3, 4, 6 and 3 blocks, and the classifier."""

    def __init__(self, num_classes=1000):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
        blocks, cin = [], 64
        for stage, count in enumerate((3, 4, 6, 3)):
            width = 64 * 2**stage
            for place in range(count):
                blocks.append(Block(cin, width, 2 if stage and not place else 1))
                cin = 4 * width
        self.stages = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Linear(cin, num_classes)

    def forward(self, x):
        """Return the logits."""
        return self.classify(torch.flatten(self.pool(self.stages(self.stem(x))), 1))
