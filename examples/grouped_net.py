"""A classifier with the three habits that cost most: see clean_net.py for the cures."""

import torch
from torch import nn


def conv_bn(cin, cout, kernel, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


class GroupedBlock(nn.Module):
    """Two grouped convs in a row: what one group learns, the others never see."""

    def __init__(self, channels, groups):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        out = torch.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return torch.relu(out + x)


class GroupedNet(nn.Module):
    def __init__(self, num_classes=100):
        super().__init__()
        self.stem = conv_bn(3, 32, 3, stride=2)
        self.stage1 = nn.Sequential(conv_bn(32, 64, 3, stride=2), GroupedBlock(64, groups=4))
        self.context = nn.Sequential(
            nn.Conv2d(64, 128, kernel_size=7, padding=3, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
        )
        self.stage2 = nn.Sequential(conv_bn(128, 256, 3, stride=2), conv_bn(256, 256, 3))
        self.head = nn.Linear(256, num_classes)

    def forward(self, x):
        x = self.stage1(self.stem(x))
        x = self.stage2(self.context(x))
        return self.head(x.mean(dim=(2, 3)))
