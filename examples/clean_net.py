"""grouped_net.py with its three habits cured."""

import torch
from torch import nn


def conv_bn(cin, cout, kernel, stride=1, groups=1, dilation=1):
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(cin, cout, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


def separable(cin, cout, stride=1, dilation=1):
    """A depthwise 3x3 for the space, a 1x1 for the channels."""
    return nn.Sequential(
        conv_bn(cin, cin, 3, stride, groups=cin, dilation=dilation),
        conv_bn(cin, cout, 1),
    )


class ShuffledBlock(nn.Module):
    """Two grouped convs with a shuffle between, so that every group sees every other."""

    def __init__(self, channels, groups):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.shuffle = nn.ChannelShuffle(groups)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        out = torch.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(self.shuffle(out)))
        return torch.relu(out + x)


class CleanNet(nn.Module):
    def __init__(self, num_classes=100):
        super().__init__()
        self.stem = conv_bn(3, 32, 3, stride=2)
        self.stage1 = nn.Sequential(separable(32, 64, stride=2), ShuffledBlock(64, groups=4))
        # three taps, three apart, reach as far as seven in a row
        self.context = separable(64, 128, dilation=3)
        self.stage2 = nn.Sequential(separable(128, 256, stride=2), separable(256, 256))
        self.head = nn.Linear(256, num_classes)

    def forward(self, x):
        x = self.stage1(self.stem(x))
        x = self.stage2(self.context(x))
        return self.head(x.mean(dim=(2, 3)))
